import Foundation
import Reports

/// Means with their intervals over a number, a line per series, as one SVG element that takes its colours from the page.
struct Chart {
    struct Point {
        let x: Double, mean: Double
        let reach: Double?
    }
    struct Series {
        let name: String
        let points: [Point]
    }

    let title: String
    let xTitle: String
    let isLogarithmic: Bool
    let series: [Series]

    private static let width = 760.0, height = 330.0, left = 52.0, right = 20.0, top = 14.0, bottom = 46.0
    /// Series beyond these repeat the colours; marks tell them apart without colour.
    static let colours = 6

    var svg: String {
        let values = series.flatMap(\.points), xs = Set(values.map(\.x)).sorted()
        guard let first = xs.first, let last = xs.last else { return "" }
        let highest = values.map { $0.mean + ($0.reach ?? 0) }.max() ?? 1, top = min(1.05, max(0.1, highest * 1.06))
        func x(_ value: Double) -> Double {
            let (low, high, at) = isLogarithmic ? (log(first), log(last), log(value)) : (first, last, value)
            return Self.left + 14 + (high > low ? (at - low) / (high - low) : 0.5) * (Self.width - Self.left - Self.right - 28)
        }
        func y(_ share: Double) -> Double { Self.height - Self.bottom - min(max(share, 0), top) / top * (Self.height - Self.top - Self.bottom) }
        var parts: [String] = []
        for share in stride(from: 0.0, through: top, by: top > 0.5 ? 0.2 : 0.05) {
            let level = at(y(share))
            parts.append("<line class=\"grid\" x1=\"\(at(Self.left))\" x2=\"\(at(Self.width - Self.right))\" y1=\"\(level)\" y2=\"\(level)\"/>")
            parts.append("<text x=\"\(at(Self.left - 8))\" y=\"\(at(y(share) + 4))\" text-anchor=\"end\">\(Quantity.decimal(100 * share, 0)) %</text>")
        }
        for value in xs {
            parts.append("<text x=\"\(at(x(value)))\" y=\"\(at(Self.height - Self.bottom + 20))\" text-anchor=\"middle\">\(brief(value))</text>")
        }
        let label = HTMLReport.escaped(xTitle) + (isLogarithmic ? " (logarithmic)" : "")
        parts.append("<text x=\"\(at(Self.width - Self.right))\" y=\"\(at(Self.height - 8))\" text-anchor=\"end\">\(label)</text>")
        for (index, series) in series.enumerated() {
            // Side by side where intervals would cover one another.
            let shift = (Double(index) - Double(self.series.count - 1) / 2) * 5
            parts.append(line(series, index, { x($0) + shift }, y))
        }
        let said = HTMLReport.escaped(title) + "; the table below has the figures"
        return "<svg viewBox=\"0 0 \(at(Self.width)) \(at(Self.height))\" role=\"img\" aria-label=\"\(said)\">\(parts.joined())</svg>"
    }

    private func line(_ series: Series, _ index: Int, _ x: (Double) -> Double, _ y: (Double) -> Double) -> String {
        let points = series.points.sorted { $0.x < $1.x }
        var parts = ["<polyline points=\"\(points.map { "\(at(x($0.x))),\(at(y($0.mean)))" }.joined(separator: " "))\"/>"]
        for point in points {
            let (a, b) = (at(x(point.x)), at(y(point.mean)))
            if let reach = point.reach {
                let (low, high) = (at(y(point.mean - reach)), at(y(point.mean + reach)))
                parts.append("<line x1=\"\(a)\" x2=\"\(a)\" y1=\"\(low)\" y2=\"\(high)\"/>")
            }
            let said = "\(series.name), \(xTitle) \(brief(point.x)): \(percent(point.mean))" + (point.reach.map { " ± \(percent($0))" } ?? "")
            parts.append("<g transform=\"translate(\(a) \(b))\">\(Self.mark(index))<title>\(HTMLReport.escaped(said))</title></g>")
        }
        return "<g class=\"series s\(index % Self.colours)\">\(parts.joined())</g>"
    }

    private static func mark(_ index: Int) -> String {
        switch index % 3 {
        case 0: "<circle r=\"4.5\"/>"
        case 1: "<rect x=\"-4\" y=\"-4\" width=\"8\" height=\"8\"/>"
        default: "<path d=\"M0-5.5L5 4H-5Z\"/>"
        }
    }

    /// Names of the series, each beside its mark.
    var key: String {
        if series.count < 2 { return "" }
        let items = series.enumerated().map { index, series in
            let mark = "<g class=\"series s\(index % Self.colours)\">\(Self.mark(index))</g>"
            return "<li class=\"key\"><svg class=\"sample\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\">\(mark)</svg>\(HTMLReport.escaped(series.name))</li>"
        }
        return "<ul class=\"legend\">\(items.joined())</ul>"
    }

    static let style = """
        .picture .series polyline { fill: none; stroke-width: 2; }
        .picture .series line { stroke-width: 1.5; }
        .picture .grid { stroke: var(--line); }
        .picture svg.sample { width: 16px; height: 16px; display: inline-block; }
        .picture + h3 { margin-top: 34px; }
        .s0 { stroke: var(--accent); fill: var(--accent); } .s1 { stroke: var(--bad); fill: var(--bad); } .s2 { stroke: #b8860b; fill: #b8860b; }
        .s3 { stroke: #7a5bd0; fill: #7a5bd0; } .s4 { stroke: var(--good); fill: var(--good); } .s5 { stroke: var(--muted); fill: var(--muted); }

        """
}

/// A place in the picture, to a tenth.
private func at(_ value: Double) -> String { Quantity.decimal(value, 1) }
