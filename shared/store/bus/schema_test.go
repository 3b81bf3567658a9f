package bus_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/bustest"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

var update = flag.Bool("update", false, "rewrite detail.schema.json; read the diff")

const schemaFile = "detail.schema.json"

func TestTheSchemaIsCurrent(t *testing.T) {
	got := generate(t)
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatalf("%v; go test ./shared/store/bus -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("go test ./shared/store/bus -update rewrites it: %s", diff)
	}
}

// header is the beginning of the file.
type header struct {
	Schema      string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

func generate(t *testing.T) []byte {
	t.Helper()
	head := marshal(t, header{
		"https://json-schema.org/draft/2020-12/schema", "Detail of an esignhooks event",
		"The detail of an event on EventBridge. The event's detail-type is its type. " +
			"Its source is esign. and the provider. Ignore fields that you do not know: new ones may be added at any time.",
	})
	body := marshal(t, schema(t))
	var out bytes.Buffer
	all := slices.Concat(head[:len(head)-1], []byte(","), body[1:], []byte("\n"))
	if err := json.Indent(&out, all, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	status, orEmpty := jsonschema.Schema{Ref: "#/$defs/status"}, "#/$defs/statusOrEmpty"
	s, err := jsonschema.For[bus.Detail](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():    {Type: "string", Format: "date-time"},
		reflect.TypeFor[esign.Type]():   {Type: "string", Examples: constants(t, "Type")},
		reflect.TypeFor[esign.Cause]():  {Type: "string", Examples: constants(t, "Cause")},
		reflect.TypeFor[esign.Role]():   {Type: "string", Examples: constants(t, "Role")},
		reflect.TypeFor[esign.Proof]():  {Ref: "#/$defs/proof"},
		reflect.TypeFor[esign.Status](): &status,
	}})
	if err != nil {
		t.Fatal(err)
	}
	loosen(s)
	event, agreement := s.Properties["event"], s.Properties["agreement"]
	for _, property := range []*jsonschema.Schema{
		s.Properties["statusBefore"], s.Properties["statusAfter"], agreement.Properties["status"],
	} {
		property.Ref = orEmpty
	}
	agreement.Properties["reached"].PropertyNames = &status
	agreement.Properties["reachedApproximate"].PropertyNames = &status
	for _, hash := range []*jsonschema.Schema{
		s.Properties["eventId"], event.Properties["id"], event.Properties["documents"].Items.Properties["sha256"],
		event.Properties["payload"].Properties["sha256"],
	} {
		hash.Pattern = "^[0-9a-f]{64}$"
	}
	statuses := constants(t, "Status")
	s.Defs = map[string]*jsonschema.Schema{
		"proof":         {Type: "string", Enum: constants(t, "Proof")},
		"status":        {Type: "string", Enum: statuses, Description: "in ascending order; the last five are terminal"},
		"statusOrEmpty": {Type: "string", Enum: append([]any{""}, statuses...)},
	}
	return s
}

// loosen allows new fields, and forbids null. A field without a value is absent instead.
func loosen(s *jsonschema.Schema) {
	if s.Properties != nil {
		s.AdditionalProperties = nil
	}
	if len(s.Types) == 2 && s.Types[0] == "null" {
		s.Type, s.Types = s.Types[1], nil
	}
	for _, inner := range append(slices.Collect(maps.Values(s.Properties)), s.Items, s.AdditionalProperties) {
		if inner != nil {
			loosen(inner)
		}
	}
}

// constants returns the constants of a type in package esign, in the order of the source.
func constants(t *testing.T, typ string) (values []any) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../esign/esign.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typ {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return false
	})
	if len(values) == 0 {
		t.Fatalf("esign has no constants of type %s", typ)
	}
	return values
}

func readSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// validate validates JSON against the file.
func validate(t *testing.T, detail []byte) error {
	t.Helper()
	resolved, err := readSchema(t).Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(detail, &value); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(value)
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryEventOfEveryProviderIsValid(t *testing.T) {
	for name, entry := range bustest.Committed(t, "../../provider") {
		if err := validate(t, marshal(t, bus.EventOf(entry).Detail)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryFindingIsValid(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	said := finding.Said{References: map[string]string{"deal": "1"}, SharedReference: "shared",
		Participants: []esign.Participant{{ID: "1", Status: esign.Sent, Reference: "x", Role: esign.RoleSigner}}}
	for _, d := range []webhook.Delivery{
		finding.Reconciled("acmesign", "a", esign.Declined, "Declined", at, at, finding.Said{}),
		finding.Confirmed("acmesign", "a", "completed", at, said),
		finding.Updated("acmesign", "a", "sent", at, at, said, []string{"deal", "1"}),
		finding.Archived("acmesign", "a", full().Event.Documents, at, at),
	} {
		e, err := finding.Event(&d)
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Provider, e.Subject, e.ReceivedAt, e.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
		after := esign.Fold(esign.Agreement{}, e)
		entry := ledger.Entry{Event: &e, Agreement: &after, StatusAfter: after.Status}
		if err := validate(t, marshal(t, bus.EventOf(entry).Detail)); err != nil {
			t.Errorf("%s: %v", d.Via, err)
		}
	}
}

// full returns a detail in which every field is set.
func full() bus.Detail {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	id := strings.Repeat("0a", 32)
	return bus.Detail{
		Version: bus.Version, EventID: id, Proof: esign.ProofSigned, StatusBefore: esign.Sent, StatusAfter: esign.Completed,
		StatusChanged: true, Replay: true,
		Event: esign.Event{
			ID: id, Provider: "acmesign", Type: esign.AgreementCompleted, VendorType: "completed",
			Subject: "acmesign#a", AgreementID: "a", AccountID: "b", OccurredAt: at, Approximate: true, ReceivedAt: at,
			Proof: esign.ProofSigned, Participant: "1", Attributes: map[string]string{"format": "sim"},
			Cause: esign.CauseBounced, Reason: "too dear", SharedReference: "businessId", SharedReferenceDiffers: true,
			References: map[string]string{"deal": "1"}, ReferencesCut: []string{"deal"}, ReferencesLeftOut: 1,
			Payload: &esign.Payload{SHA256: id, Location: "s3://bucket/key"},
			Participants: []esign.Participant{{
				ID: "1", Aliases: []string{"2"}, Status: esign.Signed, At: at, Approximate: true, Replaced: true,
				ReplacedBy: "2", Role: esign.RoleSigner, Order: 1, Reference: "x", Waiting: new(bool), Problem: esign.CauseSMS,
			}},
			Present: []string{"1", "2"},
			Documents: []esign.Document{
				{Kind: esign.KindDocument, Name: "document.pdf", Location: "s3://bucket/key", ContentType: "application/pdf",
					SHA256: id, Size: 1},
			},
		},
		Agreement: &esign.Agreement{
			Provider: "acmesign", ID: "a", Status: esign.Completed, UpdatedAt: at, Conflict: true,
			Reached:     map[esign.Status]time.Time{esign.Sent: at},
			Approximate: map[esign.Status]bool{esign.Sent: true},
			Participants: map[string]esign.Progress{"1": {
				Status: esign.Signed, At: at, Approximate: true, Aliases: []string{"2"}, Replaced: true, StatedAt: at,
				ReplacedAt: at, ReplacedBy: "2", ReplacedByAlias: "b", ReplacedByAt: at,
				Role: esign.RoleSigner, RoleAt: at, Order: 1, OrderAt: at,
				Reference: "x", ReferenceAt: at, ToldAt: at, Waiting: true, WasWaiting: true, WaitingAt: at,
				Problem: esign.CauseSMS, ProblemAt: at,
			}},
			References: map[string]string{"deal": "1"}, ReferencesAt: at,
			ReferencesOlder: map[string]time.Time{"deal": at}, ReferencesCut: []string{"deal"},
			SharedReference: "businessId", SharedReferenceDiffers: true,
			Listing: &esign.Listing{At: at, IDs: []string{"1"}},
		},
	}
}

// Every field is listed under properties, and every field that is always present under required.
func TestTheSchemaHasTheFieldsThatAreWritten(t *testing.T) {
	detail := readSchema(t)
	event, agreement := detail.Properties["event"], detail.Properties["agreement"]
	all := full()
	for name, object := range map[string]struct {
		schema     *jsonschema.Schema
		all, least any
	}{
		"detail":                   {detail, all, bus.Detail{}},
		"event":                    {event, all.Event, esign.Event{}},
		"participant of the event": {event.Properties["participants"].Items, all.Event.Participants[0], esign.Participant{}},
		"document of the event":    {event.Properties["documents"].Items, all.Event.Documents[0], esign.Document{}},
		"payload of the event":     {event.Properties["payload"], all.Event.Payload, esign.Payload{}},
		"agreement":                {agreement, all.Agreement, esign.Agreement{}},
		"listing of the agreement": {agreement.Properties["listing"], all.Agreement.Listing, esign.Listing{}},
		"participant of agreements": {agreement.Properties["participants"].AdditionalProperties,
			all.Agreement.Participants["1"], esign.Progress{}},
	} {
		if diff := cmp.Diff(fields(t, object.all), slices.Sorted(maps.Keys(object.schema.Properties))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(fields(t, object.least), slices.Sorted(slices.Values(object.schema.Required))); diff != "" {
			t.Errorf("%s: required: %s", name, diff)
		}
	}
}

func fields(t *testing.T, v any) []string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(marshal(t, v), &object); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(object))
}

func TestOtherDetailsAreNotValid(t *testing.T) {
	for name, change := range map[string][2]string{
		"no event ID":               {`"eventId":`, `"eventID":`},
		"an event ID in upper case": {`"eventId":"0a`, `"eventId":"0A`},
		"an event ID with more":     {`"eventId":"0a`, `"eventId":"0a0a`},
		"another event ID inside":   {`"id":"0a`, `"id":"0x`},
		"an unknown status":         {`"statusAfter":"completed"`, `"statusAfter":"done"`},
		"a document without hash":   {`"sha256":`, `"hash":`},
		"a hash in upper case":      {`"sha256":"0a`, `"sha256":"0A`},
		"a size that is a string":   {`"size":1`, `"size":"1"`},
		"null for documents":        {`"documents":[`, `"documents":null,"rest":[`},
		"an unknown proof":          {`"proof":"signed"`, `"proof":"trust me"`},
		"no proof":                  {`"proof":"signed"`, `"proof":""`},
		"a status of a participant": {`"aliases":["2"],"status":"signed"`, `"id":"1","status":""`},
		"a status that was reached": {`"reached":{"sent":`, `"reached":{"away":`},
		"a string for a boolean":    {`"statusChanged":true`, `"statusChanged":"true"`},
		"null for an agreement":     {`"agreement":{`, `"agreement":null,"rest":{`},
		"no event":                  {`"event":{`, `"incident":{`},
	} {
		t.Run(name, func(t *testing.T) {
			good := marshal(t, full())
			bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(bad, good) {
				t.Fatalf("%s holds no %s", good, change[0])
			}
			if err := validate(t, bad); err == nil {
				t.Errorf("valid: %s", bad)
			}
		})
	}
}

func TestNewFieldsAreValid(t *testing.T) {
	detail := string(marshal(t, full()))
	for _, object := range []string{
		`{"version"`, `{"id":"0a`, `{"id":"1"`, `{"kind":"document"`, `{"provider":"acmesign","id":"a"`, `{"status":"signed"`,
	} {
		more := strings.Replace(detail, object, `{"new":1,`+object[1:], 1)
		if more == detail {
			t.Fatalf("%s holds no %s", detail, object)
		}
		if err := validate(t, []byte(more)); err != nil {
			t.Errorf("%v: %s", err, more)
		}
	}
}
