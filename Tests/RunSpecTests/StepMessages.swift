import RunSpec

/// A step of a sharding choice played through, message by message, float by float counted: no formula. Leaves are ranges
/// of leaf indices, sums are joined ranges, and at the end each owner must hold the sum of all.
struct StepMessages {
    private(set) var sent: [Int]
    /// Buffers of whole gradients of each worker, and slices of an owner, at the worst moment.
    private(set) var mostBuffers: [Int], mostSlices = 0
    private(set) var mistakes: [String] = []
    private let workers: Int, leaves: Int, owned: [Int], again: [Int], doubles: Bool

    /// - Parameters:
    ///   - again: of the owned floats those that a leaf's passes read a second time when others have been read in between.
    ///   - doubles: whether a partner makes the same update.
    init(workers: Int, leaves: Int, owned: [Int], again: [Int], doubles: Bool) {
        (self.workers, self.leaves, self.owned, self.again, self.doubles) = (workers, leaves, owned, again, doubles)
        sent = Array(repeating: 0, count: workers)
        mostBuffers = sent
    }

    private mutating func send(_ floats: Int, from worker: Int, to other: Int) { if worker != other { sent[worker] += 4 * floats } }

    /// Adds up aligned siblings at the top, as a binary counter does.
    private static func push(_ leaf: Range<Int>, _ stack: inout [Range<Int>]) {
        stack.append(leaf)
        while stack.count > 1, let right = stack.last {
            let left = stack[stack.count - 2]
            guard left.count == right.count, left.upperBound == right.lowerBound, left.lowerBound % (2 * left.count) == 0 else { return }
            stack.removeLast(2)
            stack.append(left.lowerBound..<right.upperBound)
        }
    }

    /// Joins what an owner has, in any order, to the root of the tree.
    private mutating func complete(_ nodes: [Range<Int>], of owner: Int) {
        var stack: [Range<Int>] = []
        for node in nodes.sorted(by: { $0.lowerBound < $1.lowerBound }) { Self.push(node, &stack) }
        if stack != [0..<leaves] { mistakes.append("owner \(owner) ends with \(stack)") }
    }

    /// What an owner has made, to all who have not made it themselves.
    private mutating func spread(from owner: Int) {
        for other in 0..<workers where !(doubles && other == (owner + 1) % workers) { send(owned[owner], from: owner, to: other) }
    }

    /// ddp and zero1: contiguous leaves, nodes to owners, the result to all.
    mutating func contiguous() {
        var atOwner = [[Range<Int>]](repeating: [], count: workers)
        for worker in 0..<workers {
            var stack: [Range<Int>] = []
            for leaf in 0..<leaves where leaf * workers / leaves == worker {
                mostBuffers[worker] = max(mostBuffers[worker], stack.count + 1)
                Self.push(leaf..<leaf + 1, &stack)
            }
            for node in stack {
                for owner in 0..<workers {
                    send(owned[owner], from: worker, to: owner)
                    atOwner[owner].append(node)
                }
            }
        }
        for owner in 0..<workers {
            complete(atOwner[owner], of: owner)
            spread(from: owner)
        }
    }

    /// zero2 and zero3: leaves in turn, each leaf's slices to the owners, who count.
    mutating func dealt(gathers: Bool) {
        var stacks = [[Range<Int>]](repeating: [], count: workers)
        for first in stride(from: 0, to: leaves, by: workers) {
            let computing = Array(first..<min(first + workers, leaves))
            if gathers {
                for floats in [owned, again] { for leaf in computing { for owner in 0..<workers { send(floats[owner], from: owner, to: leaf - first) } } }
            }
            for leaf in computing {
                for owner in 0..<workers {
                    send(owned[owner], from: leaf - first, to: owner)
                    mostSlices = max(mostSlices, stacks[owner].count + 1)
                    Self.push(leaf..<leaf + 1, &stacks[owner])
                }
            }
        }
        for owner in 0..<workers {
            complete(stacks[owner], of: owner)
            if !gathers { spread(from: owner) }
        }
    }

    /// The owner's slice on to the next worker.
    mutating func shadow() { for owner in 0..<workers { send(owned[owner], from: owner, to: (owner + 1) % workers) } }

    /// A stripe of each vector to each other owner.
    mutating func parity(vectors: Int) {
        for owner in 0..<workers {
            for _ in 0..<vectors {
                var left = owned[owner]
                for other in (0..<workers) where other != owner {
                    let stripe = other == (owner == workers - 1 ? workers - 2 : workers - 1) ? left : owned[owner] / (workers - 1)
                    send(stripe, from: owner, to: other)
                    left -= stripe
                }
            }
        }
    }
}
