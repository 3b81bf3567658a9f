// Package sample makes fresh, genuine requests of the examples in events: about a new agreement and a new event, at the
// present time, and signed.
package sample

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/events"
	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
)

// Names lists a provider's examples.
func Names(p webhook.Provider) []string {
	files, _ := fs.Glob(examples, p.Info().Name+"/*.json") // the pattern is well formed
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".json")
	}
	return files
}

// Completed names the provider's shortest example of a completed agreement.
func Completed(p webhook.Provider) (string, error) {
	shortest, size := "", 0
	for _, name := range Names(p) {
		r, err := read(p, name)
		if err != nil {
			return "", err
		}
		_, event, err := meaning(p, r)
		if err == nil && event.Type == esign.AgreementCompleted && (size == 0 || len(r.Body) < size) {
			shortest, size = name, len(r.Body)
		}
	}
	if shortest == "" {
		return "", fmt.Errorf("sample: no example of %s completes an agreement", p.Info().Name)
	}
	return shortest, nil
}

// Harmless names the example that changes least: a test of the vendor's, or an event of an unknown type, or any.
func Harmless(p webhook.Provider) string {
	var others []string
	for _, name := range Names(p) {
		r, err := read(p, name)
		if err != nil || r.Method != http.MethodPost {
			continue
		}
		if _, event, err := meaning(p, r); err == nil && event.Type == esign.Test {
			return name
		}
		others = append(others, name)
	}
	if slices.Contains(others, "unknown-event") || len(others) == 0 {
		return "unknown-event"
	}
	return others[0]
}

// Request makes a request of an example, about the agreement with the given ID, or about a new one if it is empty. If
// the vendor gives its events IDs of their own, the event gets a new one. Request returns the ID under which the
// agreement is known, or an empty string if the example is not about one.
func Request(p webhook.Provider, name, agreementID string, key webhook.Secret, now time.Time) (*webhook.Request, string,
	error) {
	r, err := read(p, name)
	if err != nil {
		return nil, "", err
	}
	if r.Method != http.MethodPost {
		return r, "", p.Sign(r, key, now)
	}
	example, event, err := meaning(p, r)
	if err != nil {
		return nil, "", err
	}
	r.Body = renewed(r, func(text []byte) []byte {
		if !event.OccurredAt.IsZero() {
			text = shift(text, now.Sub(event.OccurredAt))
		}
		if example.AgreementID == "" {
			return text
		}
		return replace(text, example.AgreementID, cmp.Or(agreementID, likeness(example.AgreementID)))
	})
	id, changed, err := meaning(p, r)
	if err == nil && id.EventID == example.EventID &&
		(id.AgreementID != example.AgreementID || !changed.OccurredAt.Equal(event.OccurredAt)) {
		renewEventID(p, r, id)
	}
	if err := p.Sign(r, key, now); err != nil {
		return nil, "", err
	}
	id, _, err = meaning(p, r)
	return r, id.AgreementID, err
}

// renewEventID replaces the vendor's own ID of the event, which depends neither on the agreement nor on the time. It
// tries one word of the body after the other, and keeps the first change that makes another event of the same meaning.
func renewEventID(p webhook.Provider, r *webhook.Request, was webhook.Identity) {
	original := r.Body
	for _, old := range word.FindAll(original, -1) {
		r.Body = renewed(r, func(text []byte) []byte { return replace(text, string(old), likeness(string(old))) })
		id, _, err := meaning(p, r)
		if fresh := id.EventID; err == nil && fresh != was.EventID {
			id.EventID, id.FormerIDs = was.EventID, was.FormerIDs
			if reflect.DeepEqual(id, was) {
				return
			}
		}
		r.Body = original
	}
}

// replace puts with in the place of old, however old is capitalised.
func replace(text []byte, old, with string) []byte {
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(old)).ReplaceAllLiteral(text, []byte(with))
}

// renewed returns the body with its text changed. The text may be in the fields of a form.
func renewed(r *webhook.Request, change func([]byte) []byte) []byte {
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return change(r.Body)
	}
	form, _ := url.ParseQuery(string(r.Body)) // ours is well formed
	for _, values := range form {
		for i, value := range values {
			values[i] = string(change([]byte(value)))
		}
	}
	return []byte(form.Encode())
}

func read(p webhook.Provider, name string) (*webhook.Request, error) {
	b, err := fs.ReadFile(examples, p.Info().Name+"/"+name+".json")
	if err != nil {
		return nil, fmt.Errorf("sample: %s has no example %q; there are: %s", p.Info().Name, name,
			strings.Join(Names(p), ", "))
	}
	var e lambda.APIGatewayProxyRequest
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	return apigw.Request(e)
}

func meaning(p webhook.Provider, r *webhook.Request) (webhook.Identity, esign.Event, error) {
	if r.Method != http.MethodPost {
		return webhook.Identity{}, esign.Event{}, nil
	}
	ids, err := p.Identify(r)
	if err != nil {
		return webhook.Identity{}, esign.Event{}, err
	}
	event, err := p.Normalize(&webhook.Delivery{
		EventID: ids[0].EventID, Subject: ids[0].Subject, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	})
	return ids[0], event, err
}

// likeness returns a random ID that looks like id. Letters and digits are replaced; case, length and punctuation
// remain. The likeness of a hexadecimal ID is hexadecimal.
func likeness(id string) string {
	letters := "ghijkmnpqrstuvwxyz"
	if !strings.ContainsAny(strings.ToLower(id), letters) {
		letters = "abcdef"
	}
	random := make([]byte, len(id))
	rand.Read(random)
	var out strings.Builder
	for i, c := range []byte(id) {
		switch r := int(random[i]); {
		case i == 0 && '1' <= c && c <= '9': // it may be a number, which begins with no zero
			c = byte('1' + r%9)
		case '0' <= c && c <= '9':
			c = byte('0' + r%10)
		case 'a' <= c && c <= 'z':
			c = letters[r%len(letters)]
		case 'A' <= c && c <= 'Z':
			c = letters[r%len(letters)] - 'a' + 'A'
		}
		out.WriteByte(c)
	}
	return out.String()
}

var (
	clock = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?`)
	unix  = regexp.MustCompile(`\b1[5-9]\d{8}(\d{3})?\b`)        // seconds or milliseconds
	word  = regexp.MustCompile(`[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*`) // that may be an ID: all with a digit
)

// examples holds <provider>/<name>.json.
var examples fs.FS = events.FS

// shift moves every time in the body, and keeps its format.
func shift(body []byte, by time.Duration) []byte {
	body = clock.ReplaceAllFunc(body, func(old []byte) []byte {
		_, fraction, _ := bytes.Cut(old, []byte("."))
		layout := "2006-01-02T15:04:05"
		if len(fraction) > 0 {
			layout += "." + strings.Repeat("0", len(fraction))
		}
		t, err := time.Parse(layout, string(old))
		if err != nil {
			return old
		}
		return []byte(t.Add(by).Format(layout))
	})
	return unix.ReplaceAllFunc(body, func(old []byte) []byte {
		n, err := strconv.ParseInt(string(old), 10, 64)
		switch {
		case err != nil:
			return old
		case len(old) > 10:
			n += by.Milliseconds()
		default:
			n += int64(by / time.Second)
		}
		return strconv.AppendInt(nil, n, 10)
	})
}
