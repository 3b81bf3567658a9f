// Command worker is the Lambda function that processes the queue's deliveries.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/app/background"
	"esignhooks/shared/provider"
)

func main() { lambda.Start(background.Worker(provider.All())) }
