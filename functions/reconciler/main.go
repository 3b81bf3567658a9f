// Command reconciler is the Lambda function that asks the vendors, on a schedule, for events that no webhook brought.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider"
	"esignhooks/shared/wiring/lambda/background"
)

func main() { lambda.Start(background.Reconciler(provider.All())) }
