// Command dropboxsign is the Lambda function that receives Dropbox Sign webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/dropboxsign"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(dropboxsign.Provider{})) }
