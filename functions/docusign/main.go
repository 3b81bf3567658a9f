// Command docusign is the Lambda function that receives DocuSign Connect webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/docusign"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(docusign.Provider{})) }
