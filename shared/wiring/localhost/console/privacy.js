// Conceals personal data in what vendors send: names, e-mail addresses, telephone numbers, and free text that may hold
// them. A button shows them.

export const bullets = '•••••'

const personal = /(name|mail|phone|mobile|fax|sms|subject|title|message|comment|note|reason|description|street|address|city|activityby|sentby|declinedby)$/i
const harmless = /^(event_?name|webhook_?name|tab_?name|event|documentsuri|type)$/i
const phone = /^(phone_?number|phone|mobile|fax|sms_?number|number)$/i
const address = /[\w.!#$%&'*+/=?^`{|}~-]+(@|%40|\\u0040)[\w-]+(\.[\w-]+)+/gi
const international = /\+\d[\d ()/-]{6,}\d/g

// isPersonal reports whether an object's member may be personal.
function isPersonal(key, value, parent) {
	if (typeof value === 'number') return phone.test(key) && value > 99999
	if (typeof value !== 'string' || value === '') return false
	if (phone.test(key) && /\d{5}/.test(value)) return true
	if (/^name$/i.test(key) && parent && 'value' in parent && !('email' in parent)) return false // of a custom field
	return personal.test(key) && !harmless.test(key)
}

// Concealer learns the personal data of a body, and conceals them wherever they are.
export class Concealer {
	#found = new Set()
	count = 0

	learn(value, key = '', parent = null) {
		if (Array.isArray(value)) for (const item of value) this.learn(item, key, null)
		else if (value && typeof value === 'object') for (const k of Object.keys(value)) this.learn(value[k], k, value)
		else if (isPersonal(key, value, parent)) this.add(String(value))
	}

	// learnText learns from XML and the like.
	learnText(text) {
		for (const [, key, value] of text.matchAll(/<([\w:]+)[^<>]*>([^<>]+)</g)) {
			if (isPersonal(key.split(':').pop(), value, null)) this.add(value)
		}
	}

	add(value) {
		value = value.trim()
		if (value.length >= 2) this.#found.add(value)
		for (const word of value.split(/\s+/)) if (word.length >= 4 && /^\p{Lu}/u.test(word)) this.#found.add(word)
	}

	// text conceals what was learnt, also as JSON or a URL writes it.
	text(text) {
		const values = [...this.#found].sort((a, b) => b.length - a.length)
		const hide = () => { this.count++; return bullets }
		text = text.replace(address, hide).replace(international, hide)
		for (const value of values) {
			const json = JSON.stringify(value).slice(1, -1)
			const ascii = json.replace(/[\u0080-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
			const url = encodeURIComponent(value)
			for (const spelling of new Set([value, json, ascii, ascii.replaceAll('/', '\\/'), url, url.replaceAll('%20', '+')])) {
				if (!text.includes(spelling)) continue
				text = text.split(spelling).join(bullets)
				this.count++
			}
		}
		return text
	}

	// data returns JSON data with its strings concealed.
	data(value, key = '', parent = null) {
		if (Array.isArray(value)) return value.map(item => this.data(item, key, null))
		if (value && typeof value === 'object') {
			return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, this.data(v, k, value)]))
		}
		if (isPersonal(key, value, parent)) { this.count++; return bullets }
		return typeof value === 'string' ? this.text(value) : value
	}
}
