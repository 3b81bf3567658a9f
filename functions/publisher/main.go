// Command publisher is the Lambda function that publishes what the table's stream tells.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Publisher()) }
