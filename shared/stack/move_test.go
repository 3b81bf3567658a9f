package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// moves is SQS's HTTP interface, as far as moves go: a request for the last move is answered with the next of these,
// and the last one again and again.
type moves struct {
	answers []string
	started int
	left    string
	path    string // of the last move that was started: from and to
}

func (m *moves) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	var asked struct{ QueueUrl, SourceArn, DestinationArn string }
	json.NewDecoder(r.Body).Decode(&asked)
	answer := map[string]any{}
	switch r.Header.Get("X-Amz-Target") {
	case "AmazonSQS.GetQueueAttributes":
		answer["Attributes"] = map[string]string{"QueueArn": "arn:" + path.Base(asked.QueueUrl),
			"ApproximateNumberOfMessages": m.left}
	case "AmazonSQS.ListMessageMoveTasks":
		answer["Results"] = []json.RawMessage{json.RawMessage(m.answers[0])}
		if len(m.answers) > 1 {
			m.answers = m.answers[1:]
		}
	case "AmazonSQS.StartMessageMoveTask":
		m.started, m.path = m.started+1, asked.SourceArn+" "+asked.DestinationArn
	}
	json.NewEncoder(w).Encode(answer)
}

func TestMoves(t *testing.T) {
	const (
		old       = `{"StartedTimestamp":1,"Status":"COMPLETED","ApproximateNumberOfMessagesMoved":99}`
		under     = `{"StartedTimestamp":2,"Status":"RUNNING","ApproximateNumberOfMessagesMoved":2,"ApproximateNumberOfMessagesToMove":5}`
		stopping  = `{"StartedTimestamp":2,"Status":"CANCELLING","ApproximateNumberOfMessagesMoved":2}`
		cancelled = `{"StartedTimestamp":2,"Status":"CANCELLED","ApproximateNumberOfMessagesMoved":3}`
		failed    = `{"StartedTimestamp":2,"Status":"FAILED","ApproximateNumberOfMessagesMoved":3,"FailureReason":"AccessDenied"}`
		done      = `{"StartedTimestamp":2,"Status":"COMPLETED","ApproximateNumberOfMessagesMoved":5}`
	)
	for name, tt := range map[string]struct {
		answers []string
		left    string
		started int
		said    string
		err     string
	}{
		"a move that does not show yet is not taken for an earlier one": {[]string{old, old, under, done}, "0", 1,
			"2 of 5 moved\ndead letters: 5 moved", ""},
		"a running move is waited for": {[]string{under, under, done}, "0", 0,
			"already\ndead letters: 2 of 5 moved\ndead letters: 5 moved", ""},
		"a move that is being cancelled has not ended": {[]string{stopping, stopping, cancelled}, "0", 0,
			"already", "CANCELLED after 3"},
		"a move that fails": {[]string{old, failed}, "0", 1, "",
			"FAILED after 3 were moved: AccessDenied"},
		"returned messages are an error": {[]string{old, done}, "4", 1, "5 moved", "about 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &moves{answers: tt.answers, left: tt.left}
			server := httptest.NewServer(m)
			t.Cleanup(server.Close)
			s := &Stack{config: aws.Config{
				Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
				}),
			}, outputs: map[string]string{"QueueUrl": server.URL + "/q", "DeadLetterQueueUrl": server.URL + "/d"}}
			var out strings.Builder
			err := s.redriveDeadLetters(t.Context(), &out, "dead letters", "DeadLetterQueueUrl", "QueueUrl")
			if m.started != tt.started || m.started > 0 && m.path != "arn:d arn:q" || !strings.Contains(out.String(), tt.said) {
				t.Errorf("started %d, %s; said %s", m.started, m.path, &out)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Error(err)
			}
		})
	}
}
