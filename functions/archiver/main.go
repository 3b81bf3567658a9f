// Command archiver is the Lambda function that stores the documents of completed agreements.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider"
	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Archiver(provider.All())) }
