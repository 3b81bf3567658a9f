package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/provider"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// vendors are the vendors' APIs on this machine, as the functions in the emulator's containers reach them: by TLS,
// under an address that is not the loopback's.
type vendors struct {
	*vendorstub.Server
	certificate string // file with the certificate, which is nobody else's
}

// startVendors serves the vendors' APIs until the test ends.
func startVendors(t *testing.T) vendors {
	t.Helper()
	stub := vendorstub.New(t)
	behind, err := url.Parse(stub.URL)
	must(t, err)
	address := here(t)
	certificate, text := selfSigned(t, address)
	listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
	must(t, err)
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(behind))
	front.Listener.Close()
	front.Listener = listener
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.StartTLS()
	t.Cleanup(front.Close)
	stub.URL = front.URL // the stub's answers contain it
	file := filepath.Join(t.TempDir(), "vendors.pem")
	must(t, os.WriteFile(file, text, 0o644))
	return vendors{stub, file}
}

// here is an address of this machine.
func here(t *testing.T) net.IP {
	t.Helper()
	all, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP
		}
	}
	t.Fatal("this machine has no address that a container could reach")
	return nil
}

func selfSigned(t *testing.T, address net.IP) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vendors"}, IPAddresses: []net.IP{address}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// trust adds the vendors' certificate to the built functions that ask them. It is all that differs from the real
// template.
func (v vendors) trust(t *testing.T, template string) {
	t.Helper()
	text, err := os.ReadFile(template)
	must(t, err)
	certificate, err := os.ReadFile(v.certificate)
	must(t, err)
	of := regexp.MustCompile(`(?m)^( +)(DOCUMENT_BUCKET|REPAIR_SUBSCRIPTIONS):`) // a variable that only this function has
	if found := of.FindAll(text, -1); len(found) != 2 {
		t.Fatalf("%d functions ask the vendors", len(found))
	}
	must(t, os.WriteFile(template, of.ReplaceAll(text, []byte("${1}SSL_CERT_FILE: /var/task/vendors.pem\n${1}${2}:")), 0o644))
	for _, function := range []string{"ArchiverFunction", "ReconcilerFunction"} {
		must(t, os.WriteFile(filepath.Join(filepath.Dir(template), function, "vendors.pem"), certificate, 0o644))
	}
}

// credentials are the member "api" of a provider's secret.
func (v vendors) credentials(p webhook.Provider) json.RawMessage {
	return json.RawMessage(bytes.ReplaceAll(v.Credentials(p.Info().Name), []byte("https://"), nil)) // hosts are names
}

// apiSecrets are what nobody may see of the credentials: the members whose names say so, line by line.
func (d *deployment) apiSecrets() (secrets []string) {
	d.t.Helper()
	if d.endpoint == "" {
		return nil // see needsVendors
	}
	for _, p := range all.Providers() {
		var members map[string]string
		must(d.t, json.Unmarshal(d.vendors.credentials(p), &members))
		before := len(secrets)
		for name, value := range members {
			if regexp.MustCompile(`(?i)key|secret|token`).MatchString(name) {
				secrets = append(secrets, slices.DeleteFunc(strings.Fields(value), func(line string) bool { return len(line) < 12 })...)
			}
		}
		if len(secrets) == before {
			d.t.Errorf("none of the credentials of %s is a secret", p.Info().Name)
		}
	}
	return secrets
}

// needsVendors skips a step for which the vendors' APIs would have to be reached from AWS.
func (d *deployment) needsVendors() {
	d.t.Helper()
	if d.endpoint == "" {
		d.t.Skip("AWS does not reach the vendors' APIs on this machine")
	}
}

// waiting is how many messages a queue holds, visible and not.
func (d *deployment) waiting(queueURL string) string {
	d.t.Helper()
	out, err := d.sqs.GetQueueAttributes(d.t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &queueURL, AttributeNames: []sqstypes.QueueAttributeName{
			sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		},
	})
	must(d.t, err)
	return out.Attributes["ApproximateNumberOfMessages"] + " and " + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// archiverRests waits until the archiver and then the worker have nothing to do, and checks how much is parked.
func (d *deployment) archiverRests(parked string) {
	d.t.Helper()
	for _, queue := range []string{"DocumentQueueUrl", "QueueUrl"} {
		d.eventually("an empty "+queue, func() (string, bool) {
			waiting := d.waiting(d.outputs[queue])
			return waiting, waiting == "0 and 0"
		})
	}
	if letters := d.waiting(d.outputs["DocumentDeadLetterQueueUrl"]); letters != parked+" and 0" {
		d.t.Errorf("%s parked, not %s", letters, parked)
	}
}

// off is how everybody begins: without credentials nobody is asked, and nothing waits for them.
func (d *deployment) off() {
	d.archiverRests("0")
	d.eventually("the archiver's log says that it is off", func() (string, bool) {
		logs := d.logsOf("Archiver")
		return logs, strings.Contains(logs, "off: the secret has no credentials")
	})
	for _, m := range d.bus {
		if m.detail.Event.Proof == esign.ProofConfirmed {
			d.t.Errorf("unexpected agreement.confirmed: %s", m.Detail)
		}
	}
}

// putCredentials adds credentials to the secrets, and the client ID that Adobe uses for webhooks that we create. It
// waits until the functions have read the secrets again.
func (d *deployment) putCredentials() {
	d.t.Helper()
	for _, p := range all.Providers() {
		d.editSecret(p, func(secret map[string]any) {
			secret["api"] = d.vendors.credentials(p)
			if p.Info().Name == "adobesign" {
				secret["keys"] = []string{d.keys["adobesign"].Reveal(), vendorstub.AdobeSignClientID}
			}
		})
	}
	d.addSecrets()
	time.Sleep(70 * time.Second)
	d.useNewSecrets()
}

// archived checks that a completion is confirmed and its documents are stored, and that each is published once, even if
// it is requested again.
func (d *deployment) archived() {
	d.needsVendors()
	d.putCredentials()
	for _, p := range all.Providers() {
		name, pdf := p.Info().Name, vendorstub.PDF(random(8))
		example, err := sample.Completed(p)
		must(d.t, err)
		r, id := d.fresh(p, example, "")
		d.vendors.Set(name, vendorstub.Agreement{ID: id, Status: esign.Completed, PDF: pdf})
		d.accepted(p, r)
		subject := webhook.AgreementSubject(name, id)
		d.history(subject, 1)
		before := d.history(subject, 3)
		d.checkArchive(before, pdf)
		d.make("archive", "PROVIDER="+name, "ID="+id)
		d.archiverRests("0")
		if diff := cmp.Diff(before, d.history(subject, 3)); diff != "" {
			d.t.Errorf("archived again: %s", diff)
		}
		d.bus = append(d.bus, d.take(d.caught)...)
		d.checkArchive(before, pdf)
	}
}

// checkArchive compares an agreement's history, the bus and the bucket.
func (d *deployment) checkArchive(history []ledger.Entry, pdf []byte) {
	d.t.Helper()
	published := map[esign.Type]bus.Detail{}
	for _, e := range history {
		if e.Type != esign.AgreementConfirmed && e.Type != esign.AgreementArchived {
			continue
		}
		if e.Proof != esign.ProofConfirmed {
			d.t.Errorf("%s by %s", e.Type, e.Proof)
		}
		messages := d.published(string(e.Type), 1, func(detail bus.Detail) bool { return detail.EventID == e.ID })
		if published[e.Type] = messages[0].detail; len(messages) != 1 || published[e.Type].StatusChanged || published[e.Type].StatusAfter != esign.Completed {
			d.t.Errorf("%d times %s: %+v", len(messages), e.Type, published[e.Type])
		}
	}
	documents := published[esign.AgreementArchived].Event.Documents
	if len(published) != 2 || published[esign.AgreementConfirmed].EventID == "" || len(documents) == 0 {
		d.t.Fatalf("published: %+v", published)
	}
	bucket := d.outputs["DocumentBucketName"]
	var keys, stored []string
	for _, document := range documents {
		key, ok := strings.CutPrefix(document.Location, "s3://"+bucket+"/")
		if !ok || !strings.HasPrefix(key, history[0].Provider+"/") {
			d.t.Fatalf("stored at %s", document.Location)
		}
		keys = append(keys, key)
		object, err := d.s3.GetObject(d.t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
		must(d.t, err)
		content, err := io.ReadAll(object.Body)
		must(d.t, err)
		sum := sha256.Sum256(pdf)
		want := esign.Document{Kind: document.Kind, Name: document.Name, Location: document.Location,
			ContentType: "application/pdf", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(pdf))}
		if diff := cmp.Diff(want, document); diff != "" || !bytes.Equal(content, pdf) ||
			aws.ToString(object.ContentType) != want.ContentType {
			d.t.Errorf("%s, %d bytes of %s: %s", key, len(content), aws.ToString(object.ContentType), diff)
		}
	}
	folder := path.Dir(keys[0])
	versions, err := d.s3.ListObjectVersions(d.t.Context(), &awss3.ListObjectVersionsInput{Bucket: &bucket, Prefix: aws.String(folder + "/")})
	must(d.t, err)
	for _, v := range versions.Versions {
		stored = append(stored, *v.Key)
	}
	slices.Sort(stored)
	keys = append(keys, folder+"/manifest.json")
	slices.Sort(keys)
	if diff := cmp.Diff(keys, stored); diff != "" {
		d.t.Errorf("stored, each once: %s", diff)
	}
}

// forgedCompletion comes from somebody who knows the secret URL. It is neither confirmed nor archived. Had the vendor
// only been late to say so, it could still be put right.
func (d *deployment) forgedCompletion() {
	d.needsVendors()
	p, pdf := adobesign.Provider{}, vendorstub.PDF(random(8))
	example, err := sample.Completed(p)
	must(d.t, err)
	r, id := d.fresh(p, example, "")
	d.vendors.Set("adobesign", vendorstub.Agreement{ID: id, Status: esign.Cancelled})
	d.accepted(p, r)
	subject := webhook.AgreementSubject("adobesign", id)
	d.history(subject, 1)
	d.eventually("the parked completion", func() (string, bool) {
		letters := d.waiting(d.outputs["DocumentDeadLetterQueueUrl"])
		return letters, letters == "1 and 0"
	})
	d.archiverRests("1")
	if history := d.history(subject, 1); len(history) != 1 {
		d.t.Errorf("a forgery was taken for true: %+v", history)
	}
	stored, err := d.s3.ListObjectsV2(d.t.Context(), &awss3.ListObjectsV2Input{
		Bucket: aws.String(d.outputs["DocumentBucketName"]), Prefix: aws.String(path.Dir(document.Key("adobesign", id, "manifest.json")) + "/"),
	})
	must(d.t, err)
	if len(stored.Contents) > 0 {
		d.t.Errorf("stored: %+v", stored.Contents)
	}
	if logs := d.logsOf("Archiver"); !strings.Contains(logs, `"Name": "Forged"`) {
		d.t.Errorf("the forgery is not counted: %s", logs)
	}
	d.vendors.Set("adobesign", vendorstub.Agreement{ID: id, Status: esign.Completed, PDF: pdf})
	d.make("redrive")
	d.checkArchive(d.history(subject, 3), pdf)
	d.archiverRests("0")
}

// unreported completes an agreement without a webhook. A webhook that arrives late must change no status.
func (d *deployment) unreported() {
	d.needsVendors()
	id, pdf := "6f1c0a52-"+random(2)+"-4d1e-9f00-"+random(6), vendorstub.PDF(random(8))
	d.vendors.Set("docusign", vendorstub.Agreement{ID: id, Status: esign.Completed, ChangedAt: time.Now().Add(-time.Hour), PDF: pdf})
	d.reconcile()
	subject := webhook.AgreementSubject("docusign", id)
	d.history(subject, 1)
	history := d.history(subject, 3)
	if first := history[0]; first.StatusBefore != "" || first.StatusAfter != esign.Completed || first.Proof != esign.ProofConfirmed {
		d.t.Errorf("%+v", first)
	}
	d.checkArchive(history, pdf)
	d.reconcile()
	d.envelope(id, "envelope-completed")
	history = d.history(subject, 4)
	if late := ledger.InOrderOfCommits(history)[3]; len(history) != 4 || late.StatusBefore != esign.Completed || late.Proof != esign.ProofSigned {
		d.t.Errorf("%+v", history)
	}
}

// reconcile makes the reconciler's pass that else comes every 15 minutes.
func (d *deployment) reconcile() {
	d.t.Helper()
	if out := d.sam("remote", "invoke", "ReconcilerFunction", "--stack-name", d.stack, "--output", "json"); strings.Contains(out, "FunctionError") {
		d.t.Errorf("the pass failed: %s", out)
	}
}

// registration is what an operator does about subscriptions.
func (d *deployment) registration() {
	d.needsVendors()
	api, err := url.Parse(d.output(adobesign.Provider{}, "WebhookUrl"))
	must(d.t, err)
	d.vendors.Receiver(api.Host, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { // see reachable
		r.Out.URL, _ = url.Parse(d.reachable("https://" + api.Host + r.In.URL.Path))
		r.Out.Host = ""
	}})
	out, err := d.try("make", "-s", "registered", "STACK="+d.stack)
	if err == nil {
		d.t.Errorf("nothing is registered, and all is well:\n%s", out)
	}
	for _, p := range provider.All() {
		name := p.Info().Name
		if name == "esignglobal" || !all.Has(name) { // no API can register the URL
			if out, err := d.try("make", "-s", "register", "STACK="+d.stack, "PROVIDER="+name); err == nil || !strings.Contains(out, "by hand") {
				d.t.Errorf("%s: %v\n%s", name, err, out)
			}
			continue
		}
		out += d.make("register", "PROVIDER="+name)
		if n := len(d.vendors.Subscriptions(name)); n > 0 {
			d.t.Errorf("%s: %d subscriptions without APPLY=1", name, n)
		}
		out += d.make("register", "PROVIDER="+name, "APPLY=1")
		if all := d.vendors.Subscriptions(name); len(all) != 1 || d.reachable(all[0].URL) != d.urls[name] {
			d.t.Errorf("%s: %d subscriptions, not one to our URL", name, len(all))
		}
		if again := d.make("register", "PROVIDER="+name, "APPLY=1"); !strings.Contains(again, "nothing to do") {
			d.t.Errorf("%s, registered twice:\n%s", name, again)
		}
	}
	out += d.make("registered")
	if slices.ContainsFunc(append(d.apiSecrets(), d.tokens...), func(secret string) bool { return strings.Contains(out, secret) }) {
		d.t.Error("the operator's tools show a secret")
	}
}
