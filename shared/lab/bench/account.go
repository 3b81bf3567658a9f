package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// account stands for AWS: DynamoDB, SQS, Secrets Manager and S3, each with an address of its own, as far as the functions
// use them. It answers at once, or after a delay, and counts what it is asked.
type account struct {
	servers   []*http.Server
	endpoints map[string]string // service, as in AWS_ENDPOINT_URL_<service> → URL
	tls       []string          // variables that make a client trust the certificates
	delay     atomic.Int64      // time.Duration before each answer

	mu    sync.Mutex
	usage map[string]usage // by operation
	table table
	sent  map[string]bool // deduplication IDs
}

// usage is what an operation was asked.
type usage struct {
	calls      int
	bytes      int // of the requests' bodies
	duplicates int // claims and messages that were there already
	unknown    int // calls of what is not implemented
}

// urlToken is in the URLs of providers whose signature does not cover everything, as by default in AWS.
const urlToken = "Zm9yIG1lYXN1cmluZyBvbmx5IQ"

// open starts the account. With secure, it is reached by TLS, and clients check its certificates against the certification
// authorities of this machine and one of its own, whose certificate is written into dir.
func open(dir string, secure bool) (*account, error) {
	a := &account{endpoints: map[string]string{}, usage: map[string]usage{}, table: table{}, sent: map[string]bool{}}
	scheme, listen := "http", net.Listen
	if secure {
		config, err := a.certify(dir)
		if err != nil {
			return nil, err
		}
		scheme, listen = "https", func(network, address string) (net.Listener, error) { return tls.Listen(network, address, config) }
	}
	for service, handler := range map[string]http.HandlerFunc{
		"DYNAMODB": a.protocol("application/x-amz-json-1.0", a.dynamodb), "SQS": a.protocol("application/x-amz-json-1.0", a.sqs),
		"SECRETS_MANAGER": a.protocol("application/x-amz-json-1.1", a.secrets), "S3": a.s3,
	} {
		listener, err := listen("tcp", "127.0.0.1:0")
		if err != nil {
			a.close()
			return nil, err
		}
		server := &http.Server{Handler: handler}
		a.servers = append(a.servers, server)
		a.endpoints[service] = scheme + "://" + listener.Addr().String()
		go server.Serve(listener)
	}
	return a, nil
}

func (a *account) close() {
	for _, s := range a.servers {
		s.Close()
	}
}

// environment is what the template sets, for a receiver and for the worker, at a memory setting.
func (a *account) environment(provider string, megabytes int) []string {
	env := []string{
		"TABLE_NAME=table", "PAYLOAD_BUCKET=payloads", "METRICS_NAMESPACE=esignhooks/bench", "EXPIRE_AFTER_DAYS=0",
		"QUEUE_URL=" + a.endpoints["SQS"] + "/123456789012/deliveries.fifo", "REQUIRE_URL_TOKEN=true",
		"DEAD_LETTER_QUEUE_URL=" + a.endpoints["SQS"] + "/123456789012/dead.fifo", "SECRET_ARN=" + provider,
		"GOGC=400", "GOMAXPROCS=1", fmt.Sprintf("GOMEMLIMIT=%dMiB", megabytes*220/256), // as in template.yaml, for all contestants
	}
	for service, url := range a.endpoints {
		env = append(env, "AWS_ENDPOINT_URL_"+service+"="+url)
	}
	return append(env, a.tls...)
}

// reset forgets the counts, and with everything also what is stored.
func (a *account) reset(everything bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usage = map[string]usage{}
	if everything {
		a.table, a.sent = table{}, map[string]bool{}
	}
}

// used is the usage of an operation, or of all if it is empty.
func (a *account) used(operation string) (u usage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, of := range a.usage {
		if operation == "" || operation == name {
			u.calls, u.bytes, u.duplicates, u.unknown = u.calls+of.calls, u.bytes+of.bytes, u.duplicates+of.duplicates, u.unknown+of.unknown
		}
	}
	return u
}

// fault is an answer that the SDK makes an error of.
type fault struct {
	code   string
	fields map[string]any
}

func (f *fault) Error() string { return "bench: " + f.code }

// protocol serves AWS's JSON protocols: the operation is in a header, one JSON object goes in and one comes out.
//
// SPEC: https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html; 1.1 differs in the content type. DynamoDB sends a
// checksum, which the SDK compares: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
func (a *account) protocol(contentType string, do func(operation string, body []byte, u *usage) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		a.mu.Lock()
		u := a.usage[operation]
		u.calls, u.bytes = u.calls+1, u.bytes+len(body)
		output, err := do(operation, body, &u)
		a.usage[operation] = u
		a.mu.Unlock()
		status := http.StatusOK
		if f, ok := err.(*fault); ok {
			fields := map[string]any{"__type": "com.amazonaws#" + f.code, "message": "measured"}
			for name, value := range f.fields {
				fields[name] = value
			}
			status, output = http.StatusBadRequest, fields
		} else if err != nil {
			status, output = http.StatusBadRequest, map[string]any{"__type": "com.amazonaws#SerializationException", "message": err.Error()}
		}
		answer, err := json.Marshal(output)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		a.wait()
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Header().Set("X-Amzn-Requestid", "V3RKD3GJ5HVQ0JDEXAMPLEREQUESTIDVV4KQNSO5AEMVJF66Q9ASUAAJG")
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
		w.WriteHeader(status)
		w.Write(answer)
	}
}

func (a *account) wait() {
	if d := time.Duration(a.delay.Load()); d > 0 {
		time.Sleep(d)
	}
}

func unknown(operation string, u *usage) error {
	u.unknown++
	return &fault{code: "UnknownOperationException", fields: map[string]any{"message": "not implemented: " + operation}}
}

// sqs takes messages. The SDK compares the body's MD5.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func (a *account) sqs(operation string, body []byte, u *usage) (any, error) {
	if operation != "SendMessage" {
		return nil, unknown(operation, u)
	}
	var input struct{ MessageBody, MessageDeduplicationId string }
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	if input.MessageBody == "" {
		return nil, &fault{code: "MissingParameter"}
	}
	if a.sent[input.MessageDeduplicationId] {
		u.duplicates++
	}
	a.sent[input.MessageDeduplicationId] = true
	sum := md5.Sum([]byte(input.MessageBody))
	return map[string]string{
		"MD5OfMessageBody": hex.EncodeToString(sum[:]), "MessageId": "5fea7756-0ea4-451a-a703-a558b933e274", "SequenceNumber": "18849496460467696128",
	}, nil
}

// secrets tells a provider's keys: those of the examples, and the URL token.
//
// SPEC: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (a *account) secrets(operation string, body []byte, u *usage) (any, error) {
	if operation != "GetSecretValue" {
		return nil, unknown(operation, u)
	}
	var input struct{ SecretId string }
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	p, ok := webhook.Find(provider.All(), input.SecretId)
	if !ok {
		return nil, &fault{code: "ResourceNotFoundException"}
	}
	stored, err := json.Marshal(webhook.StoredKeys{Keys: []string{p.Info().DevelopmentKey}, URLToken: urlToken})
	return map[string]any{
		"ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:" + input.SecretId, "Name": input.SecretId, "CreatedDate": 1793611800.0,
		"SecretString": string(stored), "VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", "VersionStages": []string{"AWSCURRENT"},
	}, err
}

// s3 takes objects, and keeps none.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (a *account) s3(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	operation, status := r.Method+" object", http.StatusOK
	a.mu.Lock()
	u := a.usage[operation]
	u.calls, u.bytes = u.calls+1, u.bytes+int(n)
	if r.Method != http.MethodPut {
		status = http.StatusNotImplemented
		u.unknown++
	}
	a.usage[operation] = u
	a.mu.Unlock()
	a.wait()
	w.Header().Set("ETag", `"b54357faf0632cce46e942fa68356b38"`)
	w.Header().Set("X-Amz-Request-Id", "0A49CE4060975EAC")
	w.WriteHeader(status)
}

// certificates are where systems keep those of the certification authorities, as crypto/x509 looks for them.
var certificates = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// certify makes a certificate for 127.0.0.1, and lets clients trust it beside those that this machine trusts. Services speak
// HTTP/1.1, as DynamoDB and SQS do.
func (a *account) certify(dir string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	var bundle []byte
	for _, file := range certificates {
		if b, err := os.ReadFile(file); err == nil {
			bundle = b
			break
		}
	}
	file := filepath.Join(dir, "certificates.pem")
	bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		return nil, err
	}
	a.tls = []string{"SSL_CERT_FILE=" + file, "SSL_CERT_DIR=" + filepath.Join(dir, "none")}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}}, nil
}
