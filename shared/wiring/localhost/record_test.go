package localhost

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/plumbing/apigw"
)

// recorded returns the files of a gateway's recordings, in their order.
func recorded(t *testing.T, data string) (events []lambda.APIGatewayProxyRequest) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "recorded", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		var e lambda.APIGatewayProxyRequest
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func TestRequestsAreRecorded(t *testing.T) {
	const path = "/webhooks/acmesign/canary-token"
	data, own := t.TempDir(), http.Header{"Content-Type": {"application/json"}}
	g := openWith(t, map[string]string{"DATA": data, "ACMESIGN_URL_TOKENS": "canary-token"}, acmesign.Provider{})
	switchTo := func(asked string, status int) (state Recorded) {
		t.Helper()
		answer := g.ask("POST", "/api/record", asked, own)
		if answer.Code != status {
			t.Errorf("%s: %d %s", asked, answer.Code, answer.Body)
		}
		json.Unmarshal(answer.Body.Bytes(), &state)
		return state
	}
	post := func(number int64, more http.Header) {
		t.Helper()
		body, header := genuine(number)
		for name, values := range more {
			header[name] = values
		}
		if answer := g.ask("POST", path, body, header); answer.Code != http.StatusOK {
			t.Errorf("answered %d while it is recorded", answer.Code)
		}
	}
	post(1, nil)
	if found := recorded(t, data); len(found) > 0 {
		t.Fatal("recorded before anybody asked for it")
	}
	if state := switchTo(`{"count":3}`, 200); state.Left != 3 || state.Until.IsZero() {
		t.Errorf("%+v", state)
	}
	post(2, http.Header{"X-Original-Url": {"https://t.example" + path}})
	post(3, http.Header{doctor.NonceHeader: {"nonce"}})
	if answer := g.ask("POST", path, strings.Repeat(" ", 70<<10)+"\xff{}", nil); answer.Code != http.StatusUnauthorized {
		t.Errorf("a forgery is answered %d", answer.Code)
	}
	post(4, nil)
	post(5, nil)
	found := recorded(t, data)
	if len(found) != 3 {
		t.Fatalf("%d are recorded, want 3: not the doctor's, and none beyond the limit", len(found))
	}
	body, header := genuine(2)
	r, err := apigw.Request(found[0])
	if err != nil || string(r.Body) != body || r.Header.Get(acmesign.SignatureHeader) != header.Get(acmesign.SignatureHeader) {
		t.Errorf("%v, %+v", err, r)
	}
	if r, err = apigw.Request(found[1]); err != nil || len(r.Body) != 70<<10+3 || r.Body[70<<10] != 0xff {
		t.Errorf("%v, a body of %d bytes", err, len(r.Body))
	}
	for _, e := range found {
		all, _ := json.Marshal(e)
		if strings.Contains(string(all), "canary") || e.PathParameters["token"] != "REDACTED" {
			t.Errorf("the token is recorded: %s", all)
		}
	}
	for asked, status := range map[string]int{
		`{"count":1001}`: 422, `{"minutes":-1}`: 422, `{"minutes":1441}`: 422, `no`: 400, `{"count":1,"minutes":1}`: 200,
	} {
		switchTo(asked, status)
	}
	if state := switchTo(`{"off":true}`, 200); state.Left != 0 {
		t.Errorf("%+v", state)
	}
	post(6, nil)
	if found := recorded(t, data); len(found) != 3 {
		t.Error("recorded after the end")
	}
	foreign := g.ask("POST", "/api/record", "{}", http.Header{"Content-Type": {"application/json"},
		"Sec-Fetch-Site": {"cross-site"}})
	if foreign.Code != http.StatusForbidden {
		t.Errorf("another web page gets %d", foreign.Code)
	}
	traces := operate.Traces{Provider: acmesign.Name, AgreementID: "a1", Subject: "acmesign#a1"}
	for _, tt := range []struct {
		remove bool
		want   int
	}{{false, 2}, {true, 2}, {false, 0}} {
		if n, err := g.forgetRecorded(traces, tt.remove); n != tt.want || err != nil {
			t.Errorf("%d recordings of the agreement, %v, want %d", n, err, tt.want)
		}
	}
}
