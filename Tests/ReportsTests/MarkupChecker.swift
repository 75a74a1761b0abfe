/// Reads HTML just far enough to know that its elements nest, its attributes are quoted and its ids are unique.
struct MarkupChecker {
    private(set) var complaints: [String] = []
    private(set) var ids: Set<String> = []
    /// Values of `src` and `href`.
    private(set) var references: [String] = []
    /// The text of each script element.
    private(set) var scripts: [String] = []
    private static let void: Set<String> = ["meta", "br", "input", "link", "img", "hr"], raw: Set<String> = ["script", "style"]

    init(_ page: String) {
        let bytes = Array(page.utf8)
        var index = 0, open: [String] = []
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        func find(_ needle: String, from start: Int) -> Int? {
            let needle = Array(needle.utf8)
            return (start...max(start, bytes.count - needle.count)).first { $0 + needle.count <= bytes.count && bytes[$0..<$0 + needle.count].elementsEqual(needle) }
        }
        while let start = find("<", from: index) {
            guard let end = find(">", from: start) else { complaints.append("a tag does not end"); break }
            let tag = text(start + 1..<end)
            index = end + 1
            if tag.hasPrefix("!") { continue }
            if tag.hasPrefix("/") {
                if open.last == String(tag.dropFirst()) { open.removeLast() } else { complaints.append("</\(tag.dropFirst())> closes \(open.last ?? "nothing")") }
                continue
            }
            let name = String(tag.prefix { $0.isLetter || $0.isNumber })
            if name.isEmpty { complaints.append("<\(tag.prefix(20))> is no tag") }
            takeAttributes(tag.dropFirst(name.count))
            if Self.void.contains(name) { continue }
            open.append(name)
            if Self.raw.contains(name) {
                guard let close = find("</" + name, from: index) else { complaints.append("<\(name)> does not end"); break }
                if name == "script" { scripts.append(text(index..<close)) }
                index = close
            }
        }
        if !open.isEmpty { complaints.append("not closed: \(open)") }
    }

    private mutating func takeAttributes(_ given: Substring) {
        var rest = given
        while let first = rest.firstIndex(where: { $0 != " " }) {
            rest = rest[first...]
            let name = rest.prefix { $0 != "=" && $0 != " " }
            rest = rest.dropFirst(name.count)
            guard rest.first == "=" else { continue }
            guard rest.dropFirst().first == "\"", let end = rest.dropFirst(2).firstIndex(of: "\"") else { complaints.append("\(name) is not quoted"); return }
            let value = String(rest.dropFirst(2)[..<end])
            rest = rest[rest.index(after: end)...]
            if name == "id", !ids.insert(value).inserted { complaints.append("id \(value) twice") }
            if name == "src" || name == "href" { references.append(value) }
        }
    }
}
