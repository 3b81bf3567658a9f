// Package stack acts on a deployed stack, with the AWS credentials of whoever runs it.
package stack

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"

	"esignhooks/shared/bus"
	"esignhooks/shared/bus/eventbridge"
	"esignhooks/shared/ledger"
	"esignhooks/shared/ledger/dynamodb"
)

// Stack is a deployed stack.
type Stack struct {
	name    string
	config  aws.Config
	outputs map[string]string
}

// needed are the outputs that every stack of this version has.
var needed = []string{"DeadLetterQueueUrl", "EventBusName", "QueueUrl", "TableName"}

// Open reads the outputs of a stack.
func Open(ctx context.Context, name string) (*Stack, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("stack: AWS configuration: %w", err)
	}
	if config.Region == "" {
		return nil, errors.New("stack: no AWS region; set AWS_REGION to the stack's, or run aws configure")
	}
	if _, err := config.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("stack: no AWS credentials; run aws configure or aws sso login, or set AWS_PROFILE: %w", err)
	}
	s := &Stack{name, config, map[string]string{}}
	out, err := cloudformation.NewFromConfig(config).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorCode() == "ValidationError" {
		return nil, fmt.Errorf("stack: there is no stack %q in %s of this account; name yours with STACK=, its region with AWS_REGION: %w", name, config.Region, err)
	} else if err != nil {
		return nil, fmt.Errorf("stack: %s cannot be read: %w", name, err)
	}
	found := out.Stacks[0]
	for _, output := range found.Outputs {
		s.outputs[aws.ToString(output.OutputKey)] = aws.ToString(output.OutputValue)
	}
	for _, output := range needed {
		if s.outputs[output] == "" {
			return nil, fmt.Errorf("stack: %s (%s) has no output %s; deploy it from this version", name, found.StackStatus, output)
		}
	}
	return s, nil
}

// Ledger reads the stack's table.
func (s *Stack) Ledger() ledger.Reader {
	return dynamodb.New(awsdynamodb.NewFromConfig(s.config), s.outputs["TableName"], 0) // what is read expires as it was written
}

// Bus is the stack's event bus.
func (s *Stack) Bus() bus.Bus {
	return eventbridge.New(awseventbridge.NewFromConfig(s.config), s.outputs["EventBusName"])
}
