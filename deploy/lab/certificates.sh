# A certificate authority, the AAA server's certificate and a device's, made anew for each run.
#
#   make_certificates DIR     ca.pem, server.{key,pem}, device.{key,pem}

make_certificates() {
	mkdir -p "$1"
	(
		cd "$1"
		# RSA, so that the certificates take several EAP fragments and RADIUS EAP-Message attributes, as real ones do.
		openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/O=Lab/CN=Lab CA' -keyout ca.key -out ca.pem \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
		issue server '/O=Lab/CN=aaa.lab.example' serverAuth DNS:aaa.lab.example
		issue device '/O=Lab/CN=device-1' clientAuth email:device-1@lab.example
	) 2>"$1/openssl.log" || { cat "$1/openssl.log" >&2; die "openssl could not make the certificates"; }
}

issue() { # name subject purpose alternative-name
	openssl req -new -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out "$1.pem" \
		-extfile <(printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$3" "$4")
	cat ca.pem >>"$1.pem" # the chain, sent along
}
