package template

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// alarmRow is what an alarm must do.
type alarmRow struct {
	// metrics are those that it reads, by their IDs; "" if there is only one. A metric is written as its statistic, its
	// period in seconds, its namespace, its name and its dimensions.
	metrics map[string]string
	// ring and quiet are series of one value for each period, the last one at the end; - is a period without data. At the
	// end of ring the alarm must be on, and at the end of quiet it must be off. With several metrics, each series begins
	// with its ID, and series of the same time are separated by a semicolon.
	ring, quiet []string
	// ends means that the end of the alarm is good news. Otherwise it reports single incidents, and only its start
	// notifies.
	ends bool
}

// one is an alarm on any occurrence.
func one(metric string, ends bool) alarmRow {
	return alarmRow{map[string]string{"": metric}, []string{"1", "- 1"}, []string{"0", "-", "1 0", "1 -"}, ends}
}

// alarmTable is the specification of all alarms, with these parameters. The names, dimensions and statistics of AWS's
// metrics are from these pages, read 2026-11-30:
//
// SPEC:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
func (c *checker) alarmTable() map[string]alarmRow {
	const api = " ApiName=<AWS::StackName> Stage=live"
	own := func(statistic string, period int, name string) string {
		return fmt.Sprintf("%s %d %s %s", statistic, period, c.namespace(), name)
	}
	lambda := func(name string) alarmRow { // of all background functions
		metrics := map[string]string{}
		for function := range backgroundNeeds {
			switch {
			case function == "OutletFunction" && c.parameters["OutletUrl"] == "",
				function == "ReconcilerFunction" && name == "Throttles", // ReconcilerStoppedAlarm starts
				slices.Contains([]string{"ArchiverFunction", "ReconcilerFunction"}, function) && c.ifAsked("", "no") != "":
				continue
			}
			id := strings.ToLower(strings.TrimSuffix(function, "Function"))
			metrics[id] = "Sum 300 AWS/Lambda " + name + " FunctionName=<" + function + ">"
		}
		return sumOf(metrics, true, []string{"1"}, []string{"0", "-", "1 0"})
	}
	rows := map[string]alarmRow{
		"ContradictedAlarm": one(own("Sum", 900, "Contradicted"), false), // a pass of the reconciler is 15 minutes
		"DeadLettersAlarm": one("Maximum 60 AWS/SQS ApproximateNumberOfMessagesVisible "+
			"QueueName=<DeadLetterQueue.QueueName>", true),
		"DocumentDeadLettersAlarm": one("Maximum 60 AWS/SQS ApproximateNumberOfMessagesVisible "+
			"QueueName=<DocumentDeadLetterQueue.QueueName>", true),
		"ErrorsAlarm": lambda("Errors"),
		"ForgedAlarm": one(own("Sum", 300, "Forged"), false),
		"GatewayClientErrorsAlarm": {
			metrics: map[string]string{
				"errors":   "Sum 300 AWS/ApiGateway 4XXError" + api,
				"requests": "Sum 300 AWS/ApiGateway Count" + api,
			},
			ring: []string{"errors 11; requests 54"}, // more than a fifth, and more than 10
			quiet: []string{"errors 11; requests 55", "errors 10; requests 10", "errors -; requests 9", "errors -; requests -",
				"errors 11 0; requests 12 9"},
			ends: true,
		},
		"GatewayServerErrorsAlarm": one("Sum 300 AWS/ApiGateway 5XXError"+api, true),
		"NotAskedAlarm":            one(own("Sum", 86400, "NotAsked"), false), // one notification a day
		"PublisherAgeAlarm": {map[string]string{"": "Maximum 300 AWS/Lambda IteratorAge FunctionName=<PublisherFunction>"},
			[]string{"300001"}, []string{"300000", "-", "300001 0"}, true}, // milliseconds
		"PublisherStoppedAlarm": {
			metrics: map[string]string{
				"invocations": "Sum 3600 AWS/Lambda Invocations FunctionName=<PublisherFunction>",
				"processed":   own("Sum", 3600, "Processed"),
			},
			ring: []string{"processed 1 1; invocations - -", "processed 1 - 1; invocations 0 1 0",
				"processed 1" + strings.Repeat(" -", 70) + " 1; invocations" + strings.Repeat(" -", 72)},
			quiet: []string{"processed 1 1; invocations 0 1", "processed - -; invocations - -", "processed 0 0; invocations - -",
				"processed 1" + strings.Repeat(" -", 71) + " 1; invocations" + strings.Repeat(" -", 73)},
			ends: true,
		},
		"QueueAgeAlarm": {map[string]string{"": "Maximum 60 AWS/SQS ApproximateAgeOfOldestMessage " +
			"QueueName=<Queue.QueueName>"},
			[]string{"301 301", "301 0 301", "301 301 0"},
			[]string{"300 300 300", "0 301", "301 0 0 301", "301 301 0 0", "- - 301"}, true},
		"ReconcileFailedAlarm": {map[string]string{"": own("Sum", 900, "ReconcileFailed")},
			[]string{"1 1 1", "1 1 0 1", "1 1 - 1"}, // a pass may start a little late
			[]string{"1 1", "1 1 0 0 1", "0 0 0 0", "- - - -"}, true},
		"ReconcilerStoppedAlarm": {
			map[string]string{"invocations": "Sum 3600 AWS/Lambda Invocations FunctionName=<ReconcilerFunction>"},
			[]string{"invocations 4 -", "invocations 4 0", "invocations -"}, []string{"invocations 1", "invocations - 4"}, true},
		"ReconciledAlarm":  one(own("Sum", 900, "Reconciled"), true),
		"StaleClaimsAlarm": one(own("Sum", 900, "StaleClaims"), false),
		// Each pass reports it, so its end is good news. Two passes make a period, or it would end between them.
		"SubscriptionAlarm": one(own("Maximum", 1800, "SubscriptionProblems"), true),
		"TableThrottlesAlarm": sumOf(map[string]string{
			"reads":  "Sum 60 AWS/DynamoDB ReadThrottleEvents TableName=" + c.tableName(),
			"writes": "Sum 60 AWS/DynamoDB WriteThrottleEvents TableName=" + c.tableName(),
		}, true, []string{"1 1", "1 0 1", "1 1 -"}, []string{"0 1", "1 0 0 1", "0 0 0", "- - -"}),
		"ThrottlesAlarm":   lambda("Throttles"),
		"UnavailableAlarm": one(own("Sum", 300, "Unavailable"), true),
		"UnpublishedAlarm": sumOf(map[string]string{
			"dropped": "Sum 300 AWS/Lambda DroppedEventCount EventSourceMappingUUID=<PublisherSource>",
			"late":    "Sum 300 AWS/Lambda OnFailureDestinationDeliveredEventCount EventSourceMappingUUID=<PublisherSource>",
			"refused": own("Sum", 300, "Unpublished"),
		}, false, []string{"1"}, []string{"0", "-", "1 0"}),
	}
	maps.DeleteFunc(rows, func(name string, _ alarmRow) bool { return asking[name] && c.ifAsked("", "no") != "" })
	if c.parameters["OutletUrl"] != "" {
		rows["OutletDeadLettersAlarm"] = one("Maximum 60 AWS/SQS ApproximateNumberOfMessagesVisible "+
			"QueueName=<OutletDeadLetterQueue.QueueName>", true)
		rows["OutletAgeAlarm"] = alarmRow{map[string]string{"": "Maximum 60 AWS/SQS ApproximateAgeOfOldestMessage " +
			"QueueName=<OutletQueue.QueueName>"},
			[]string{"901 901", "901 0 901"}, []string{"900 900 900", "0 901", "901 0 0 901", "- - 901"}, true}
	}
	if c.parameters["AccessLogs"] != "off" {
		rows["TooLargeAlarm"] = one(own("Sum", 300, "TooLarge"), true)
		if c.forbids() {
			rows["ForbiddenAlarm"] = one(own("Sum", 300, "Forbidden"), true)
		}
	}
	for _, info := range c.vendors() {
		by := " Provider=" + info.Name
		threshold, err := strconv.Atoi(c.parameters["RefusedThreshold"])
		if err != nil {
			c.errorf("%v", err)
		}
		rows[info.Resource+"RefusedAlarm"] = alarmRow{map[string]string{"": own("Sum", 300, "Refused") + by},
			[]string{strconv.Itoa(threshold + 1)},
			[]string{strconv.Itoa(threshold), "-", strconv.Itoa(threshold+1) + " 0"}, true}
		rows[info.Resource+"WrongKeyAlarm"] = one(own("Sum", 300, "WrongKey")+by, false)
		hours, err := strconv.Atoi(c.parameters[info.Resource+"SilentAfterHours"])
		if err == nil && hours > 0 {
			silence := strings.Repeat(" -", hours-1)
			rows[info.Resource+"SilentAlarm"] = alarmRow{map[string]string{"received": own("Sum", 3600, "Received") + by},
				[]string{"received 1 1 1 -" + silence, "received 1 0" + silence}, []string{"received 1" + silence}, true}
		}
	}
	return rows
}

// sumOf is an alarm on the sum of metrics. Each of them alone must start it.
func sumOf(metrics map[string]string, ends bool, ring, quiet []string) alarmRow {
	row := alarmRow{metrics: metrics, ends: ends}
	for id := range metrics {
		for _, series := range ring {
			row.ring = append(row.ring, id+" "+series)
		}
	}
	for _, series := range quiet {
		all := []string{}
		for id := range metrics {
			all = append(all, id+" "+series)
		}
		row.quiet = append(row.quiet, strings.Join(all, "; "))
	}
	return row
}

// alarmRules compares the alarms with the table, and the table with what must be watched.
func alarmRules(c *checker) {
	table := c.alarmTable()
	action := absent
	if topic := c.parameters["AlarmTopicArn"]; topic != "" {
		action = "[" + topic + "]"
	}
	watched := map[string]bool{}
	for _, name := range c.of("AWS::CloudWatch::Alarm") {
		row, ok := table[name]
		if !ok {
			c.errorf("the table of alarms has no row for %s", name)
			continue
		}
		for _, metric := range row.metrics {
			watched[metric[strings.Index(metric, " ")+1:]] = true
		}
		ends := absent
		if row.ends {
			ends = action
		}
		c.want(name+".", map[string]string{"AlarmActions": action, "OKActions": ends, "ActionsEnabled": absent})
		description := c.get(name + ".AlarmDescription")
		c.holds(strings.Count(description, ".") >= 2, "%s does not say what happened, and what to do", name)
		a := c.readAlarm(name)
		c.holds(maps.Equal(a.metrics, row.metrics), "%s reads %q, not %q", name, a.metrics, row.metrics)
		for expected, all := range map[bool][]string{true: row.ring, false: row.quiet} {
			for _, series := range all {
				rings, err := a.rings(series)
				c.holds(err == nil && rings == expected, "%s after %q: %t, %v", name, series, rings, err)
			}
		}
	}
	for name := range table {
		c.holds(c.resources[name] != nil, "there is no %s", name)
	}
	isWatched := func(metric string) {
		for known := range watched {
			if _, known, _ = strings.Cut(known, " "); known == metric {
				return
			}
		}
		c.errorf("no alarm reads %s", metric)
	}
	for _, mapping := range c.of("AWS::Lambda::EventSourceMapping") {
		source, function := c.get(mapping+".EventSourceArn"), c.get(mapping+".FunctionName")
		if c.values[mapping+".Enabled"] == "false" {
			continue
		}
		if letters := c.get(logical(source) + ".RedrivePolicy.deadLetterTargetArn"); letters != absent {
			isWatched("AWS/SQS ApproximateNumberOfMessagesVisible QueueName=<" + logical(letters) + ".QueueName>")
			if c.get(logical(source)+".FifoQueue") == "true" { // jobs of the archiver wait for hours as a rule
				isWatched("AWS/SQS ApproximateAgeOfOldestMessage QueueName=<" + logical(source) + ".QueueName>")
			}
			continue
		}
		delete(c.checked, logical(source)+".RedrivePolicy.deadLetterTargetArn")
		isWatched("AWS/Lambda Invocations FunctionName=" + function) // a disabled mapping has no other metric
		isWatched("AWS/Lambda IteratorAge FunctionName=" + function)
		for _, metric := range []string{"DroppedEventCount", "OnFailureDestinationDeliveredEventCount"} {
			isWatched("AWS/Lambda " + metric + " EventSourceMappingUUID=<" + mapping + ">")
		}
	}
	c.metricsOfTheCode(watched)
	c.operators()
}

var operate = sync.OnceValue(func() string {
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		panic(err)
	}
	return string(page)
})

// ifAsked returns the first value if the archiver and the reconciler run, and the other one if they do not.
func (c *checker) ifAsked(yes, no string) string {
	if c.parameters["AskVendors"] == "true" {
		return yes
	}
	return no
}

// operators expects that the page for operators has all alarms and metrics.
func (c *checker) operators() {
	for name := range c.alarmTable() {
		for _, info := range c.vendors() {
			if own, ok := strings.CutPrefix(name, info.Resource); ok {
				name = "<Vendor>" + own
			}
		}
		c.holds(strings.Contains(operate(), "\n| `"+name+"` | "), "operate.md has no row for %s", name)
	}
	for metric := range codeMetrics() {
		c.holds(strings.Contains(operate(), "`"+metric+"`"), "operate.md does not mention the metric %s", metric)
	}
}

// alarm is an alarm as CloudWatch evaluates it.
type alarm struct {
	metrics    map[string]string // as in alarmRow
	expression string            // "" if there is only one metric
	within     func(float64) bool
	breaching  bool // what missing data counts as
	of, least  int  // so many of the last periods must breach
}

func (c *checker) readAlarm(name string) alarm {
	a := alarm{metrics: map[string]string{}, of: c.number(name + ".EvaluationPeriods")}
	a.least = a.of
	if c.get(name+".DatapointsToAlarm") != absent {
		a.least = c.number(name + ".DatapointsToAlarm")
	}
	c.holds(a.least >= 1 && a.least <= a.of, "%s needs %d of %d periods", name, a.least, a.of)
	threshold, err := strconv.ParseFloat(c.get(name+".Threshold"), 64)
	c.holds(err == nil, "%s has the threshold %q", name, c.get(name+".Threshold"))
	switch operator := c.get(name + ".ComparisonOperator"); operator {
	case "GreaterThanThreshold":
		a.within = func(v float64) bool { return v > threshold }
	case "GreaterThanOrEqualToThreshold":
		a.within = func(v float64) bool { return v >= threshold }
	case "LessThanThreshold":
		a.within = func(v float64) bool { return v < threshold }
	default:
		c.errorf("%s compares by %q", name, operator)
		a.within = func(float64) bool { return false }
	}
	// Missing data is good, except where data must come.
	missing := c.get(name + ".TreatMissingData")
	c.holds(missing == "breaching" || missing == "notBreaching", "%s treats missing data as %q", name, missing)
	a.breaching = missing == "breaching"
	period := c.metric(name, "", &a)
	for i := 0; c.values[fmt.Sprintf("%s.Metrics.%d.Id", name, i)] != ""; i++ {
		path := fmt.Sprintf("%s.Metrics.%d", name, i)
		if expression := c.get(path + ".Expression"); expression != absent {
			// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html: of an alarm's
			// metrics, one returns data, which is the default.
			c.holds(a.expression == "", "%s has two expressions", name)
			a.expression = expression
			c.want(path, map[string]string{".ReturnData": absent, ".Id": c.get(path + ".Id")})
			continue
		}
		c.want(path, map[string]string{".ReturnData": "false", ".Expression": absent})
		period = c.metric(path+".MetricStat", c.get(path+".Id"), &a)
	}
	c.holds(len(a.metrics) > 0 && len(a.metrics) <= 10, "%s reads %d metrics", name, len(a.metrics))
	c.holds(!a.breaching || strings.Contains(a.expression, "FILL("), "%s starts late: older data hides what is missing", name)
	// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html: one day at most, or
	// seven with periods of an hour or more.
	limit := 86400
	if period >= 3600 {
		limit *= 7
	}
	c.holds(a.of*period <= limit, "%s evaluates %d s", name, a.of*period)
	return a
}

// metric reads a metric, if it is there, and returns its period.
func (c *checker) metric(path, id string, a *alarm) int {
	in, statistic := path+".", ".Statistic"
	if id != "" {
		in, statistic = path+".Metric.", ".Stat"
	}
	name := c.values[in+"MetricName"]
	if name == "" {
		return 0
	}
	text := strings.Join([]string{
		c.get(path + statistic), c.get(path + ".Period"), c.get(in + "Namespace"), c.get(in + "MetricName"),
	}, " ")
	for i := 0; c.values[fmt.Sprintf("%sDimensions.%d.Name", in, i)] != ""; i++ {
		dimension := fmt.Sprintf("%sDimensions.%d.", in, i)
		text += " " + c.get(dimension+"Name") + "=" + c.get(dimension+"Value")
	}
	a.metrics[id] = text
	return c.number(path + ".Period")
}

// rings evaluates the alarm at the end of the series.
//
// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: of the last
// periods some must breach, and missing ones count as TreatMissingData says.
func (a alarm) rings(series string) (bool, error) {
	values, length, published := map[string][]float64{}, 0, false
	for part := range strings.SplitSeq(series, ";") {
		words, id := strings.Fields(part), ""
		if _, named := a.metrics[words[0]]; named {
			id, words = words[0], words[1:]
		}
		for _, word := range words {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				v = math.NaN() // no data
			}
			values[id] = append(values[id], v)
			published = published || err == nil
		}
		length = len(words)
	}
	breaches := 0
	for i := length - a.of; i < length; i++ {
		now := map[string]float64{}
		for id := range a.metrics {
			if now[id] = math.NaN(); i >= 0 && i < len(values[id]) {
				now[id] = values[id][i]
			}
		}
		v := now[""]
		if a.expression != "" && !published {
			v = math.NaN() // before the first data of any metric, FILL has nothing to fill
		} else if a.expression != "" {
			var err error
			if v, err = compute(a.expression, now); err != nil {
				return false, err
			}
		}
		if math.IsNaN(v) && a.breaching || a.within(v) { // no comparison with NaN holds
			breaches++
		}
	}
	return breaches >= a.least, nil
}

// compute evaluates an expression on the values of one period. NaN is no data. Of CloudWatch's functions it knows those
// that we use.
//
// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: METRICS() are all
// metrics, FILL replaces missing data, and a division by zero has no data.
func compute(expression string, now map[string]float64) (float64, error) {
	parsed, err := parser.ParseExpr(expression) // Go's expressions suffice
	if err != nil {
		return 0, err
	}
	all, err := values(parsed, now)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%s has %d values", expression, len(all))
	}
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

func values(e ast.Expr, now map[string]float64) ([]float64, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.ParseFloat(e.Value, 64)
		return []float64{v}, err
	case *ast.Ident:
		v, ok := now[e.Name]
		if !ok {
			return nil, fmt.Errorf("no metric has the ID %s", e.Name)
		}
		return []float64{v}, nil
	case *ast.BinaryExpr:
		x, err := values(e.X, now)
		if err != nil || len(x) != 1 {
			return nil, fmt.Errorf("%s of %d values: %w", e.Op, len(x), err)
		}
		y, err := values(e.Y, now)
		if err != nil || len(y) != 1 {
			return nil, fmt.Errorf("%s of %d values: %w", e.Op, len(y), err)
		}
		switch {
		case math.IsNaN(x[0] + y[0]):
			return []float64{math.NaN()}, nil
		case e.Op == token.GTR && x[0] > y[0]:
			return []float64{1}, nil
		case e.Op == token.GTR:
			return []float64{0}, nil
		case e.Op == token.QUO && y[0] != 0:
			return []float64{x[0] / y[0]}, nil
		case e.Op == token.QUO:
			return []float64{math.NaN()}, nil
		}
	case *ast.CallExpr:
		name, ok := e.Fun.(*ast.Ident)
		if !ok {
			break
		}
		var parts [][]float64
		for _, argument := range e.Args {
			part, err := values(argument, now)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		switch {
		case name.Name == "METRICS" && len(parts) == 0:
			return slices.Collect(maps.Values(now)), nil
		case name.Name == "SUM" && len(parts) == 1:
			sum := 0.0
			for _, v := range parts[0] {
				sum += v
			}
			return []float64{sum}, nil
		case name.Name == "FILL" && len(parts) == 2:
			for i, v := range parts[0] {
				if math.IsNaN(v) {
					parts[0][i] = parts[1][0]
				}
			}
			return parts[0], nil
		case name.Name == "IF" && len(parts) == 3 && math.IsNaN(parts[0][0]):
			return parts[0], nil
		case name.Name == "IF" && len(parts) == 3:
			if parts[0][0] != 0 {
				return parts[1], nil
			}
			return parts[2], nil
		}
	}
	return nil, fmt.Errorf("%T is not known", e)
}

// statistics are metrics of the code that need no alarm, and why.
var statistics = map[string]string{
	"AcknowledgeTime": "an answer that is too late is a 503, and UnavailableAlarm starts",
	"Archived":        "no failure",
	"Confirmed":       "no failure",
	"Duplicate":       "no failure: vendors repeat",
	"NoStatusChange":  "no failure",
	"Parked":          "the job is in the dead-letter queue, and DocumentDeadLettersAlarm starts",
	"Undeliverable":   "the sender's failure, and an event for the application",
	"Unreadable":      "the delivery is in the dead-letter queue, and DeadLettersAlarm starts",
}

// metricsOfTheCode expects that an alarm reads each metric of the code, with the dimension with which it is written, or
// that it is a statistic. CloudWatch bills a metric with the dimension Provider once for each vendor.
func (c *checker) metricsOfTheCode(watched map[string]bool) {
	read := map[string]bool{}
	for metric := range watched {
		words := strings.Fields(metric)
		if words[1] == c.namespace() {
			read[words[2]] = true
			if by := strings.Contains(metric, " Provider="); by != (codeMetrics()[words[2]] == "Provider") {
				c.errorf("%s is not written with these dimensions", metric)
			}
		}
	}
	for metric := range codeMetrics() {
		switch {
		case inBackground[metric] && c.ifAsked("", "no") != "": // nothing writes it
		case read[metric], statistics[metric] != "", metric == "Received":
		case metric == "Refused", metric == "WrongKey":
			c.holds(len(c.vendors()) == 0, "no alarm reads %s", metric)
		default:
			c.errorf("no alarm reads %s", metric)
		}
	}
	for metric := range read {
		_, written := codeMetrics()[metric]
		c.holds(written || metric == "TooLarge" || metric == "Forbidden", "the code does not write %s", metric)
	}
}

// inBackground are the metrics that only the archiver or the reconciler writes; see codeMetrics.
var inBackground = map[string]bool{}

// codeMetrics returns the metrics of the code, with the dimension of each.
var codeMetrics = sync.OnceValue(func() map[string]string {
	found := map[string]string{}
	call := regexp.MustCompile(`\bmetric\.(Provider|Milliseconds)?(?:Count)?\("(\w+)"`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, match := range call.FindAllStringSubmatch(string(b), -1) {
			found[match[2]] = match[1]
			if strings.HasPrefix(path, "../../archive/") || strings.HasPrefix(path, "../../reconcile/") {
				inBackground[match[2]] = true
			}
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return found
})

func TestAlarmsAreEvaluated(t *testing.T) {
	above := func(v float64) bool { return v > 5 }
	const sum, quotient = "SUM(FILL(METRICS(), 0))", "IF(a > 1, a / b, 0)"
	for name, tt := range map[string]struct {
		alarm  alarm
		series string
		want   bool
	}{
		"one of one":             {alarm{of: 1, least: 1, within: above}, "6", true},
		"the threshold":          {alarm{of: 1, least: 1, within: above}, "5", false},
		"two of three":           {alarm{of: 3, least: 2, within: above}, "6 0 6", true},
		"too long ago":           {alarm{of: 3, least: 2, within: above}, "6 0 0 6", false},
		"missing is good":        {alarm{of: 2, least: 2, within: above}, "6 -", false},
		"missing is bad":         {alarm{of: 2, least: 2, within: above, breaching: true}, "6 -", true},
		"before the first value": {alarm{of: 3, least: 3, within: above, breaching: true}, "6", true},
		"a sum":                  {alarm{of: 1, least: 1, within: above, expression: sum}, "a 3; b 3", true},
		"a sum of one":           {alarm{of: 1, least: 1, within: above, expression: sum}, "a 6", true},
		"a sum without fill":     {alarm{of: 1, least: 1, within: above, expression: "SUM(METRICS())"}, "a 6", false},
		"a quotient":             {alarm{of: 1, least: 1, within: above, expression: quotient}, "a 12; b 2", true},
		"a division by zero":     {alarm{of: 1, least: 1, within: above, expression: "a / b"}, "a 12; b 0", false},
	} {
		tt.alarm.metrics = map[string]string{"": ""}
		if tt.alarm.expression != "" {
			tt.alarm.metrics = map[string]string{"a": "", "b": ""}
		}
		if got, err := tt.alarm.rings(tt.series); got != tt.want || err != nil {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
	for _, expression := range []string{
		"MAX(METRICS())", "a -", "c", "METRICS()", "METRICS() / a", "a + b", `"a"`, "a.b()",
	} {
		if _, err := compute(expression, map[string]float64{"a": 1, "b": 2}); err == nil {
			t.Errorf("%s has a value", expression)
		}
	}
}
