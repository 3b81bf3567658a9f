package stack

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// lateness is how late a line may come and still be seen.
const lateness = time.Minute

// Logs calls show with each entry of the stack's logs from a time on, until ctx is done. The source is the function's
// name in the template without its ending, or Api. (sam logs --tail does so with a thread for each function: on one or
// two processors there are too few, and functions are left out without a word.)
func (s *Stack) Logs(ctx context.Context, from time.Time, show func(source string, at time.Time, text string)) error {
	groups, err := s.logGroups(ctx)
	if err != nil {
		return fmt.Errorf("stack: logs: %w", err)
	}
	client := cloudwatchlogs.NewFromConfig(s.config)
	seen := map[string]line{}
	for {
		found := map[string]line{}
		for name, group := range groups {
			if err := read(ctx, client, name, group, from, found); ctx.Err() != nil {
				return nil
			} else if err != nil {
				return fmt.Errorf("stack: logs: %w", err)
			}
		}
		for _, l := range slices.SortedFunc(maps.Values(found), line.compare) {
			if _, shown := seen[l.id]; !shown {
				show(l.group, time.UnixMilli(l.milliseconds).UTC(), l.text)
			}
			if late := time.UnixMilli(l.milliseconds).Add(-lateness); late.After(from) { // by the logs' clock, not by ours
				from = late
			}
		}
		seen = found
		pause(ctx, 2*time.Second)
	}
}

// logGroups are the stack's, by their names in the template without the ending.
func (s *Stack) logGroups(ctx context.Context) (map[string]string, error) {
	groups := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(cloudformation.NewFromConfig(s.config),
		&cloudformation.ListStackResourcesInput{StackName: &s.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.StackResourceSummaries {
			if aws.ToString(r.ResourceType) == "AWS::Logs::LogGroup" {
				groups[strings.TrimSuffix(aws.ToString(r.LogicalResourceId), "Logs")] = aws.ToString(r.PhysicalResourceId)
			}
		}
	}
	prefix := "/aws/lambda/" + s.name + "-" // of a function that does not use the template's group, as on an emulator
	own := cloudwatchlogs.NewDescribeLogGroupsPaginator(cloudwatchlogs.NewFromConfig(s.config),
		&cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &prefix})
	for own.HasMorePages() {
		page, err := own.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.LogGroups {
			groups[strings.TrimPrefix(aws.ToString(g.LogGroupName), prefix)] = aws.ToString(g.LogGroupName)
		}
	}
	return groups, nil
}

// line is a line of a log.
type line struct {
	id, group, text string
	milliseconds    int64 // since 1970
}

func (l line) compare(other line) int {
	return cmp.Or(cmp.Compare(l.milliseconds, other.milliseconds), cmp.Compare(l.id, other.id))
}

// read adds the lines of a log group to found, by their IDs.
func read(ctx context.Context, client *cloudwatchlogs.Client, name, group string, from time.Time,
	found map[string]line) error {
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(client,
		&cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(from.UnixMilli())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			id := group + aws.ToString(e.EventId)
			found[id] = line{id, name, strings.TrimSpace(aws.ToString(e.Message)), aws.ToInt64(e.Timestamp)}
		}
	}
	return nil
}
