// Command copy is a function behind API Gateway that copies the body once and answers 200.
package main

import (
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		body := strings.Clone(e.Body) // a conversion to bytes that nobody changes would copy nothing
		return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: body[:min(1, len(body))]}, nil
	})
}
