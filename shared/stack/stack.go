// Package stack acts on a deployed stack, with the AWS credentials of the user who runs it.
package stack

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/outlet"
	"esignhooks/shared/provider"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/eventbridge"
	"esignhooks/shared/store/ledger/dynamodb"
	queue "esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/vendorapi"
)

// Stack is a deployed stack.
type Stack struct {
	name    string
	config  aws.Config
	outputs map[string]string
	account string // its ID
	// parameters are those of the template, with the values of the last deployment.
	parameters map[string]string
	http       *http.Client   // for the vendors' APIs
	roots      *x509.CertPool // of the webhooks' URLs; nil: the computer's
}

// needed are the outputs that every stack of this version has.
var needed = []string{"DeadLetterQueueUrl", "DocumentDeadLetterQueueUrl", "DocumentQueueUrl", "EventBusName",
	"QueueUrl", "TableName"}

// Open reads the outputs of a stack.
func Open(ctx context.Context, name string) (*Stack, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("stack: AWS configuration: %w", err)
	}
	if config.Region == "" {
		return nil, errors.New("stack: no AWS region; set AWS_REGION to the stack's, or run aws configure; or act on the " +
			"gateway here with STACK=localhost")
	}
	if _, err := config.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("stack: no AWS credentials; run aws configure or aws sso login, or set AWS_PROFILE; or act "+
			"on the gateway here with STACK=localhost: %w", err)
	}
	s := &Stack{
		name: name, config: config, outputs: map[string]string{}, parameters: map[string]string{},
		http: vendorapi.NewHTTPClient(),
	}
	out, err := cloudformation.NewFromConfig(config).DescribeStacks(ctx,
		&cloudformation.DescribeStacksInput{StackName: &name})
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorCode() == "ValidationError" {
		return nil, fmt.Errorf("stack: there is no stack %q in %s of this account; name yours with STACK=, its region "+
			"with AWS_REGION: %w", name, config.Region, err)
	} else if err != nil {
		return nil, fmt.Errorf("stack: %s cannot be read: %w", name, err)
	}
	found := out.Stacks[0]
	for _, output := range found.Outputs {
		s.outputs[aws.ToString(output.OutputKey)] = aws.ToString(output.OutputValue)
	}
	if parts := strings.Split(aws.ToString(found.StackId), ":"); len(parts) > 4 { // an ARN
		s.account = parts[4]
	}
	for _, parameter := range found.Parameters {
		s.parameters[aws.ToString(parameter.ParameterKey)] = aws.ToString(parameter.ParameterValue)
	}
	for _, output := range needed {
		if s.outputs[output] == "" {
			return nil, fmt.Errorf("stack: %s (%s) has no output %s; deploy it from this version", name, found.StackStatus,
				output)
		}
	}
	return s, nil
}

// Target is the stack as its operators act on it.
func (s *Stack) Target() operate.Target {
	return operate.Target{
		Providers: provider.All(), Ledger: s.ledger(), Bus: s.bus(), Archive: s.archive, Redrive: s.Redrive, Clients: s.client,
		Webhook: s.webhook, Notes: s.ledger(), Now: time.Now, Confirm: s.reconciler().Confirm,
		Forgetter: s.ledger(), Places: s.places(), InFlight: inFlight,
	}
}

// reconciler asks a vendor about one agreement as the stack's function does, but with the operator's permissions.
func (s *Stack) reconciler() *reconcile.Reconciler {
	days, _ := strconv.Atoi(s.parameters["ExpireAfterDays"])
	return &reconcile.Reconciler{
		Providers: provider.All(), Agreements: s.ledger(), Tombstones: s.ledger(), Notes: s.ledger(),
		Clients: func(ctx context.Context, provider string) (vendorapi.Client, error) {
			client, err := s.client(ctx, provider)
			if errors.Is(err, operate.ErrDisabled) {
				err = fmt.Errorf("%w: %w", vendorapi.ErrOff, err)
			}
			return client, err
		},
		Queue:  queue.New(sqs.NewFromConfig(s.config), s.outputs["QueueUrl"]),
		Policy: esign.Policy{References: esign.ParseReferences(s.parameters["References"])},

		Remembers: time.Duration(days) * 24 * time.Hour, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

func (s *Stack) ledger() *dynamodb.Ledger {
	// an expiry of 0: operators write tombstones and notes, and neither expires
	return dynamodb.New(awsdynamodb.NewFromConfig(s.config), s.outputs["TableName"], 0)
}

func (s *Stack) bus() bus.Bus {
	to := eventbridge.New(awseventbridge.NewFromConfig(s.config), s.outputs["EventBusName"])
	if s.outputs["OutletQueueUrl"] == "" {
		return to
	}
	return &outlet.Bus{
		Bus: to, Queue: queue.New(sqs.NewFromConfig(s.config), s.outputs["OutletQueueUrl"]), Account: s.account,
		Region: s.config.Region, Now: time.Now,
	}
}

// archive gives the archiver a job, as the rule of the bus does.
func (s *Stack) archive(ctx context.Context, e bus.Event) error {
	_, err := sqs.NewFromConfig(s.config).SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(s.outputs["DocumentQueueUrl"]), MessageBody: aws.String(archive.Order(e)),
	})
	return err
}
