package main

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain has the test's own binary be the plugin.
func TestMain(m *testing.M) {
	if os.Getenv("BE_KUBECTL_PODSIGNAL") != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestSecondInterrupt: client-go's discovery cannot be interrupted, so that Ctrl-C twice ends it.
func TestSecondInterrupt(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plugin := exec.Command(os.Args[0], "status", "deployment/web", "--server=http://"+silent.Addr().String(), "--cache-dir="+t.TempDir())
	plugin.Env = append(os.Environ(), "BE_KUBECTL_PODSIGNAL=1", "KUBECONFIG="+os.DevNull)
	if err := plugin.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = plugin.Wait() // it is killed
		close(ended)
	}()
	if _, err := silent.Accept(); err != nil { // it is in the midst of a request
		t.Fatal(err)
	}
	late := time.After(10 * time.Second)
	for again := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-again.C:
			_ = plugin.Process.Signal(syscall.SIGINT)
		case <-ended:
			return
		case <-late:
			_ = plugin.Process.Kill()
			t.Fatal("it does not end")
		}
	}
}
