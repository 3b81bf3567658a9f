// Command adobesign is the Lambda function that receives Adobe Acrobat Sign webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/app"
	"esignhooks/shared/provider/adobesign"
)

func main() { lambda.Start(app.Receiver(adobesign.Provider{})) }
