// Command esignglobal is the Lambda function that receives eSignGlobal webhooks.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider/esignglobal"
	wiring "esignhooks/shared/wiring/lambda"
)

func main() { lambda.Start(wiring.Receiver(esignglobal.Provider{})) }
