// A token for scumble, made by an application's own server. Go 1.18 or newer, the standard library alone.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func token(secret []byte, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	part := base64.RawURLEncoding.EncodeToString
	body := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(body))
	return body + "." + part(mac.Sum(nil)), nil
}

func main() {
	secret, err := os.ReadFile(SECRET_FILE)
	if err != nil {
		panic(err)
	}
	// Line ends behind the secret do not count: the relay leaves them out, and so must you.
	secret = bytes.TrimRight(secret, "\r\n")
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		panic(err)
	}
	var canvases map[string]string
	if err := json.Unmarshal([]byte(CANVASES_TEXT), &canvases); err != nil {
		panic(err)
	}
	signed, err := token(secret, map[string]any{
		"sub": SUB, "exp": time.Now().Unix() + TTL, "jti": hex.EncodeToString(jti), "canvases": canvases,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(signed)
}
