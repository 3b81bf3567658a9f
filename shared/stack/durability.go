package stack

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func (s *Stack) durability(ctx context.Context) durability {
	t := durability{
		protected:   fact[bool]{action: "dynamodb:DescribeTable"},
		recoverable: fact[bool]{action: "dynamodb:DescribeContinuousBackups"},
	}
	client, name := awsdynamodb.NewFromConfig(s.config), s.outputs["TableName"]
	described, err := client.DescribeTable(ctx, &awsdynamodb.DescribeTableInput{TableName: &name})
	if t.protected.err = cmp.Or(err, errEmpty); err == nil && described.Table != nil {
		t.protected.err = nil
		t.protected.value = aws.ToBool(described.Table.DeletionProtectionEnabled)
	}
	backups, err := client.DescribeContinuousBackups(ctx, &awsdynamodb.DescribeContinuousBackupsInput{TableName: &name})
	if t.recoverable.err = cmp.Or(err, errEmpty); err == nil && backups.ContinuousBackupsDescription != nil {
		t.recoverable.err = nil
		d := backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription
		t.recoverable.value = d != nil && d.PointInTimeRecoveryStatus == dynamodbtypes.PointInTimeRecoveryStatusEnabled
	}
	return t
}
