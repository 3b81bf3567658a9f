// Command esignglobal is the Lambda function that receives eSignGlobal webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/app"
	"esignhooks/shared/provider/esignglobal"
)

func main() { lambda.Start(app.Receiver(esignglobal.Provider{})) }
