// Command dropboxsign is the Lambda function that receives Dropbox Sign webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/app"
	"esignhooks/shared/provider/dropboxsign"
)

func main() { lambda.Start(app.Receiver(dropboxsign.Provider{})) }
