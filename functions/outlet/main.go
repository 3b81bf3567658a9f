// Command outlet is the Lambda function that sends the published events to the application.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Outlet()) }
