// Command adobesign is the Lambda function that receives Adobe Acrobat Sign webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/adobesign"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(adobesign.Provider{})) }
