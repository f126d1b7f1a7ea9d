package daemons_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"time"
)

// For the programs that show certificates. Which one it is matters, not who has signed it.
var (
	key, certificates = selfSigned()
	insecure          = &tls.Config{InsecureSkipVerify: true}
)

// selfSigned makes a key and two certificates of it, as PEM.
func selfSigned() (private string, public [2]string) {
	key, private := newKey()
	for i := range public {
		public[i] = newCertificate(key, int64(i+1))
	}
	return private, public
}

// newKey makes a private key, and returns it as PEM too.
func newKey() (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, encode("PRIVATE KEY", der, err)
}

// newCertificate makes a certificate of a key that is signed by the same key, as PEM.
func newCertificate(key *ecdsa.PrivateKey, serial int64) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "localhost"}, // Hitch takes none without
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return encode("CERTIFICATE", der, err)
}

func encode(what string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: what, Bytes: der}))
}

// certificateShown is the one that the daemon shows.
func certificateShown() (string, error) {
	// One that has stopped serving may accept connections, and say nothing.
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", "127.0.0.1:8443", insecure)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	shown := conn.ConnectionState().PeerCertificates[0].Raw
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown})), nil
}

// overTLS asks through the daemon, and leaves the connection open.
func overTLS() (net.Conn, error) {
	conn, err := tls.Dial("tcp", "127.0.0.1:8443", insecure)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return nil, err
	}
	_, err = conn.Read(make([]byte, 1))
	return conn, err
}
