// Command boldsign is the Lambda function that receives BoldSign webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/boldsign"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(boldsign.Provider{})) }
