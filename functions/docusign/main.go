// Command docusign is the Lambda function that receives DocuSign Connect webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/app"
	"esignhooks/shared/provider/docusign"
)

func main() { lambda.Start(app.Receiver(docusign.Provider{})) }
