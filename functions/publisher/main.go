// Command publisher is the Lambda function that publishes the events of the table's stream.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Publisher()) }
