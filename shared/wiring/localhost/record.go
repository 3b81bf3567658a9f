package localhost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	lambda "github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/operate"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
)

// Recording is what a developer wants recorded: the next requests, for some minutes. 0 asks for the default.
type Recording struct {
	Count   int  `json:"count"`   // default: 100
	Minutes int  `json:"minutes"` // default: 60
	Off     bool `json:"off"`     // end it
}

// The limits of a recording.
const (
	maxRecorded        = 1000
	maxRecordedMinutes = 24 * 60
	maxRecordedBytes   = 256 << 20
)

// Recorded is the state of the recording.
type Recorded struct {
	Folder   string    `json:"folder"`
	Recorded int       `json:"recorded"` // since it began
	Left     int       `json:"left"`     // 0: nothing is recorded
	Until    time.Time `json:"until"`
}

// recordings write vendors' requests to files, as proxy events, as they come. Only URL tokens are masked.
type recordings struct {
	folder string
	mask   *masker // of the tokens
	log    *slog.Logger

	mu    sync.Mutex
	state Recorded
	bytes int // that may still be written
}

func newRecordings(data string, keys map[string]Keys, log *slog.Logger) *recordings {
	tokens := map[string]Keys{}
	for name, k := range keys {
		tokens[name] = Keys{Keys: webhook.Keys{URLTokens: k.URLTokens}}
	}
	folder := filepath.Join(data, "recorded")
	return &recordings{folder: folder, mask: newMasker(tokens), log: log, state: Recorded{Folder: folder}}
}

// set begins or ends a recording.
func (c *recordings) set(r Recording, now time.Time) (Recorded, error) {
	if r.Count < 0 || r.Count > maxRecorded || r.Minutes < 0 || r.Minutes > maxRecordedMinutes {
		return Recorded{}, fmt.Errorf("COUNT may be from 1 to %d, and MINUTES from 1 to %d", maxRecorded, maxRecordedMinutes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Off {
		c.state.Left = 0
		return c.state, nil
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return Recorded{}, err
	}
	c.state = Recorded{Folder: c.folder, Left: cmp.Or(r.Count, 100),
		Until: now.UTC().Add(time.Duration(cmp.Or(r.Minutes, 60)) * time.Minute)}
	c.bytes = maxRecordedBytes
	return c.state, nil
}

func (c *recordings) active(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.state.Until) {
		c.state.Left = 0
	}
	return c.state.Left > 0
}

// record writes a request to a file if a recording is active. Afterwards its body can still be read.
func (c *recordings) record(r *http.Request, provider string) {
	now := time.Now()
	if !c.active(now) || r.Header.Get(doctor.NonceHeader) != "" {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, webhook.MaxBody+1))
	r.Body = replay{io.MultiReader(bytes.NewReader(body), failing{err}, r.Body), r.Body}
	if err != nil || len(body) > webhook.MaxBody {
		c.log.Warn("not recorded: the body cannot be read, or is over the limit", "provider", provider)
		return
	}
	file, err := c.file(r, provider, body)
	if err == nil {
		err = c.write(now.UTC().Format("20060102T150405.000000Z-")+provider+".json", file)
	}
	if err != nil {
		c.log.Warn("not recorded", "provider", provider, "error", err)
	}
}

// replay is a body that was read, and what is left of it.
type replay struct {
	io.Reader
	io.Closer
}

// failing repeats the error with which reading ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

// file returns the proxy event of a request, without URL tokens.
func (c *recordings) file(r *http.Request, provider string, body []byte) ([]byte, error) {
	e := apigw.ProxyEvent(r, "/webhooks/"+provider, []byte(c.mask.mask(string(body))))
	e.Path = c.mask.mask(e.Path)
	if e.PathParameters != nil {
		e.PathParameters["token"] = redacted
	}
	e.MultiValueHeaders, e.MultiValueQueryStringParameters = c.mask.values(e.MultiValueHeaders),
		c.mask.values(e.MultiValueQueryStringParameters)
	for _, single := range []map[string]string{e.Headers, e.QueryStringParameters} {
		for name, value := range single {
			single[name] = c.mask.mask(value)
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(e)
	return b.Bytes(), err
}

// write writes a new file, if the limits permit it.
func (c *recordings) write(name string, file []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Left == 0 {
		return nil
	}
	if len(file) > c.bytes {
		c.state.Left = 0
		return errors.New("the recording has as many bytes as it may, and ends")
	}
	for attempt := 2; ; attempt++ {
		f, err := os.OpenFile(filepath.Join(c.folder, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) && attempt < 100 {
			name = fmt.Sprintf("%s-%d.json", strings.TrimSuffix(name, ".json"), attempt)
			continue
		} else if err != nil {
			return err
		}
		_, err = f.Write(file)
		c.state.Left, c.state.Recorded, c.bytes = c.state.Left-1, c.state.Recorded+1, c.bytes-len(file)
		return errors.Join(err, f.Close())
	}
}

// Record begins or ends a recording in the running gateway, and says so.
func Record(ctx context.Context, w io.Writer, config Config, r Recording) error {
	report, err := order(ctx, config, "/api/record", r)
	if err != nil {
		return err
	}
	defer report.Close()
	var state Recorded
	if err := json.NewDecoder(report).Decode(&state); err != nil {
		return fmt.Errorf("localhost: the recording's state: %w", err)
	}
	if state.Left == 0 {
		fmt.Fprintf(w, "the recording has ended; %d requests are in %s\n", state.Recorded, state.Folder)
		return nil
	}
	fmt.Fprintf(w, "the next %d requests are recorded until %s UTC, as they come, with names and e-mail addresses\n",
		state.Left, state.Until.Format("15:04:05"))
	fmt.Fprintf(w, "they are in %s; make record OFF=1 ends it, and make fixture FILE= makes an example of one\n",
		state.Folder)
	return nil
}

// serveRecord begins or ends a recording.
func (g *Gateway) serveRecord(w http.ResponseWriter, r *http.Request) {
	if foreign(w, r) {
		return
	}
	var asked Recording
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&asked); err != nil {
		http.Error(w, `a recording is like {"count": 100, "minutes": 60}, or {"off": true}`, http.StatusBadRequest)
		return
	}
	state, err := g.recordings.set(asked, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, state, nil)
}

// forgetRecorded counts the recordings of an agreement. If remove is set, it removes them. Localhost reads each of them.
func (g *Gateway) forgetRecorded(t operate.Traces, remove bool) (found int, err error) {
	files, err := filepath.Glob(filepath.Join(g.recordings.folder, "*.json"))
	if err != nil {
		return 0, err
	}
	p, _ := webhook.Find(g.providers, t.Provider)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return found, err
		}
		var e lambda.APIGatewayProxyRequest
		if json.Unmarshal(b, &e) != nil || strings.TrimSuffix(e.Resource, "/{token}") != "/webhooks/"+t.Provider {
			continue
		}
		r, err := apigw.Request(e)
		if err != nil {
			continue
		}
		r.LimitContentType()
		ids, _ := p.Identify(r)
		if !slices.ContainsFunc(ids, func(id webhook.Identity) bool { return id.Subject == t.Subject }) {
			continue
		}
		if found++; remove {
			if err := os.Remove(file); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}
