import Foundation
import Ledger

/// The report of a run as one HTML page that needs nothing else: no network, no other file. A pure function of the
/// account: the same record gives the same bytes.
package enum HTMLReport {
    /// - Parameter reference: what `account`'s E comes from, if it was compared.
    package static func page(_ account: RunAccount, reference: ReferenceRun? = nil) -> String {
        let data = PageData(account, reference: reference)
        let text = TextReport(account, reference: reference).summary
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
            <meta name="color-scheme" content="light dark">
            <title>\(escaped(data.title)) · Headway</title>
            <style>
            \(PageStyle.text)
            </style>
            </head>
            <body>
            \(PageMarkup.body(title: escaped(data.title), outcome: escaped(data.outcome), text: escaped(text)))
            <script type="application/json" id="data">\(json(data))</script>
            <script>
            \(PageScript.text)
            </script>
            </body>
            </html>

            """
    }

    /// Text that stands between tags.
    package static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;").replacingOccurrences(of: ">", with: "&gt;")
            .replacingOccurrences(of: "\"", with: "&quot;").replacingOccurrences(of: "'", with: "&#39;")
    }

    /// JSON that may stand in a script element: no byte of it can end the element, begin a comment or a line.
    static func json(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { preconditionFailure("a value of the page is not finite") }
        var result: [UInt8] = []
        result.reserveCapacity(data.count)
        let bytes = [UInt8](data)
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "<"): result += Array(#"\u003c"#.utf8)
            case UInt8(ascii: ">"): result += Array(#"\u003e"#.utf8)
            case UInt8(ascii: "&"): result += Array(#"\u0026"#.utf8)
            // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
            case 0xE2 where index + 2 < bytes.count && bytes[index + 1] == 0x80 && (bytes[index + 2] == 0xA8 || bytes[index + 2] == 0xA9):
                result += Array((bytes[index + 2] == 0xA8 ? #"\u2028"# : #"\u2029"#).utf8)
                index += 2
            case let byte: result.append(byte)
            }
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }
}
