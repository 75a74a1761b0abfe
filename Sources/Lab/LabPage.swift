import Reports

/// The frame of the laboratory's pages: one file that needs nothing else, no script, light and dark as the reader's system.
enum LabPage {
    /// - Parameters:
    ///   - title, lead: text.
    ///   - body: HTML.
    static func page(title: String, lead: String, body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="color-scheme" content="light dark">
        <title>\(HTMLReport.escaped(title)) · Headway</title>
        <style>
        \(PageStyle.text)\(Chart.style)
        </style>
        </head>
        <body>
        <div class="masthead">
        <h1>\(HTMLReport.escaped(title))</h1>
        <p class="lead">\(HTMLReport.escaped(lead))</p>
        </div>
        <main>
        \(body)
        </main>
        <footer>Every figure is computed from the ledgers of real runs. The page loads nothing and sends nothing.</footer>
        </body>
        </html>

        """
    }

    /// A table whose first `names` columns are names and all others numbers or marks.
    static func table(_ rows: [[String]], names: Int) -> String {
        func cells(_ row: [String], _ tag: String) -> String {
            row.enumerated().map { column, text in
                let tone = text == "✓" ? " verdict-contributed" : text == "✗" ? " verdict-harmful" : ""
                return "<\(tag) class=\"\(column < names ? "whole" : "number")\(tone)\">\(HTMLReport.escaped(text))</\(tag)>"
            }.joined()
        }
        return "<div class=\"scroll\"><table class=\"tight\"><thead><tr>\(cells(rows[0], "th"))</tr></thead><tbody>"
            + rows.dropFirst().map { "<tr>\(cells($0, "td"))</tr>" }.joined(separator: "\n") + "</tbody></table></div>"
    }

    static func paragraphs(_ texts: [String]) -> String { texts.map { "<p>\(HTMLReport.escaped($0))</p>" }.joined(separator: "\n") }
}
