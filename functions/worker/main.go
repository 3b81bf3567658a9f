// Command worker is the Lambda function that processes the queue's deliveries.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider"
	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Worker(provider.All())) }
