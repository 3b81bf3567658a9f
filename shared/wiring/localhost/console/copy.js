// Writes a request as a command and as a proxy event.

const transport = /^(accept|accept-encoding|connection|content-length|host|user-agent|via|x-forwarded-.*|x-amz.*|cloudfront-.*)$/i
const redacted = 'REDACTED'

const quoted = text => `'${text.replaceAll("'", `'\\''`)}'`

// url returns the URL of a request for a shell. A configured token appears as its variable.
function url(request) {
	const base = `${location.origin}/webhooks/${request.provider}`
	const query = new URLSearchParams()
	for (const [name, values] of Object.entries(request.query)) for (const value of values) query.append(name, value)
	const rest = String(query) ? '?' + query : ''
	if (!request.path.endsWith('/' + redacted)) return quoted(base + rest)
	return `"${base}/\${${request.provider.toUpperCase()}_URL_TOKENS%%,*}"${rest ? quoted(rest) : ''}`
}

// curl returns a command that sends the same bytes.
export function curl(request, vendor) {
	const words = []
	for (const [name, values] of Object.entries(request.headers).sort()) {
		if (transport.test(name)) continue
		for (const value of values) {
			words.push(value === redacted && vendor && name !== 'Authorization'
				? `-H "${name}: \${${vendor.keysVariable}%%,*}"`
				: '-H ' + quoted(`${name}: ${value}`))
		}
	}
	const method = request.method === 'POST' ? '' : ` -X ${request.method}`
	const text = !request.isBase64Encoded && !/[\0\b\v\f\u000e-\u001f]/.test(request.body)
	let before = ''
	if (!text) {
		before = `printf %s ${quoted(request.isBase64Encoded ? request.body : base64(request.body))} | base64 -d | `
		words.push('--data-binary @-')
	} else if (request.body !== '') {
		words.push((request.body.startsWith('@') ? '--data-raw ' : '--data-binary ') + quoted(request.body))
	}
	const command = [`${before}curl -i${method} ${url(request)}`, ...words].join(' \\\n  ')
	return JSON.stringify(request).includes(redacted)
		? `# A secret is left out: set its variable, or put it where it says ${redacted}.\n${command}` : command
}

function base64(text) {
	return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}

// proxyEvent returns the event that API Gateway would make of the request, as in events/.
export function proxyEvent(request) {
	const last = all => Object.fromEntries(Object.entries(all).map(([name, values]) => [name, values.at(-1)]))
	const resource = `/webhooks/${request.provider}`
	const token = request.path.endsWith('/' + redacted)
	return JSON.stringify({
		resource: token ? resource + '/{token}' : resource,
		path: request.path,
		httpMethod: request.method,
		headers: last(request.headers),
		multiValueHeaders: request.headers,
		queryStringParameters: Object.keys(request.query).length ? last(request.query) : null,
		multiValueQueryStringParameters: Object.keys(request.query).length ? request.query : null,
		pathParameters: token ? { token: redacted } : null,
		stageVariables: null,
		requestContext: { resourcePath: token ? resource + '/{token}' : resource, httpMethod: request.method, stage: 'prod' },
		body: request.body,
		isBase64Encoded: request.isBase64Encoded,
	}, null, 2) + '\n'
}
