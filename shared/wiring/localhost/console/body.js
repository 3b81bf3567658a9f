// Shows the bodies of requests.
import { h } from './dom.js'
import { bullets, Concealer } from './privacy.js'

// parse takes a body apart: parts with a label and JSON data or text.
export function parse(body, contentType) {
	const type = (contentType || '').toLowerCase()
	if (type.startsWith('multipart/')) {
		const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1]
		const parts = boundary ? body.split('--' + boundary).slice(1, -1) : []
		const found = parts.map(part => {
			const at = part.search(/\r?\n\r?\n/)
			const label = /name="([^"]*)"/i.exec(part.slice(0, at))?.[1] ?? 'part'
			return value(label, part.slice(at).replace(/^\r?\n\r?\n/, '').replace(/\r?\n$/, ''))
		})
		if (found.length) return found
	}
	if (type.startsWith('application/x-www-form-urlencoded')) {
		const found = [...new URLSearchParams(body)].map(([label, text]) => value(label, text))
		if (found.length) return found
	}
	return [value('', body)]
}

function value(label, text) {
	try {
		const data = JSON.parse(text)
		if (data !== null && typeof data === 'object') return { label, data }
	} catch { /* it is text */ }
	return { label, text }
}

// concealerOf returns a concealer that knows the personal data of a body.
export function concealerOf(parts) {
	const concealer = new Concealer()
	for (const part of parts) {
		if (part.data) concealer.learn(part.data)
		else if (part.label) concealer.learn(part.text, part.label, null)
		else concealer.learnText(part.text)
	}
	return concealer
}

// pretty shows the parts. concealer is null to show everything.
export function pretty(parts, concealer) {
	return parts.map(part => {
		const text = part.data
			? JSON.stringify(concealer ? concealer.data(part.data) : part.data, null, 2)
			: concealer ? concealer.text(part.text) : part.text
		const shown = h('pre', { tabindex: '0', 'aria-label': part.label ? `Field ${part.label}` : 'Body' })
		for (const line of (text || '(empty)').split(/(?<=\n)/)) shown.append(...coloured(line, Boolean(part.data)))
		return [part.label ? h('h4', null, part.label) : null, shown]
	})
}

// coloured marks the keys of JSON, and what is concealed.
function coloured(line, json) {
	const key = json && /^(\s*)("(?:[^"\\]|\\.)*")(: .*)/s.exec(line)
	if (!key) return concealed(line)
	return [key[1], h('span', { class: 'key' }, key[2]), ...concealed(key[3])]
}

export function concealed(text) {
	const nodes = []
	text.split(bullets).forEach((piece, i) => {
		if (i > 0) nodes.push(h('span', { class: 'concealed', title: 'Personal data, concealed' }, bullets))
		if (piece) nodes.push(piece)
	})
	return nodes
}
