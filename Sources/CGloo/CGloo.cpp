#include "CGloo.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gloo/common/error.h>
#include <gloo/transport/address.h>
#include <gloo/transport/context.h>
#include <gloo/transport/device.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/tcp/loop.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace {

thread_local std::string lastError;

/// Runs `body` and makes a status of what it throws.
template <typename Body>
int guarded(Body &&body) {
    try {
        body();
        return CG_OK;
    } catch (const gloo::IoException &error) {
        lastError = error.what();
        const bool late = lastError.find("imed out") != std::string::npos || lastError.find("imeout") != std::string::npos;
        return late ? CG_TIMEOUT : CG_PEER;
    } catch (const std::exception &error) {
        lastError = error.what();
        return CG_INVALID;
    } catch (...) {
        lastError = "an exception of unknown type";
        return CG_INVALID;
    }
}

template <typename Made, typename Body>
Made *made(Body &&body) {
    Made *result = nullptr;
    guarded([&] { result = body(); });
    return result;
}

}  // namespace

struct cg_group {
    cg_device *device;
    std::shared_ptr<gloo::transport::Context> context;
    std::atomic<bool> aborted{false};
    std::mutex mutex;
    std::set<cg_region *> regions;
    /// Of a call that failed on Gloo's thread.
    int failure = CG_OK;
    std::string reason;

    void abort() {
        aborted = true;
        std::lock_guard<std::mutex> lock(mutex);
        wake();
    }

    void fail(int status, const std::string &why) {
        std::lock_guard<std::mutex> lock(mutex);
        if (failure == CG_OK) std::tie(failure, reason) = std::make_tuple(status, why);
        aborted = true;
        wake();
    }

   private:
    void wake();
};

struct cg_region {
    cg_group *group;
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer;

    template <typename Wait>
    int wait(Wait &&wait) {
        const int status = guarded([&] {
            if (group->aborted || !wait() || group->aborted) throw gloo::IoException("the wait was aborted");
        });
        if (status == CG_OK) return CG_OK;
        std::lock_guard<std::mutex> lock(group->mutex);
        if (group->failure == CG_OK) return status;
        lastError = group->reason;
        return group->failure;
    }
};

void cg_group::wake() {
    for (cg_region *region : regions) {
        region->buffer->abortWaitRecv();
        region->buffer->abortWaitSend();
    }
}

namespace {

/// Messages to be begun, on Gloo's own thread. A call from another one has a pair's lock while it copies to the socket, and
/// Gloo's thread, which polls, would spin until it can have it: where the two share a processor, for a whole time slice.
/// (A call that closes its pair for an error of the socket, while an event of that pair waits in the same batch, makes Gloo end
/// the process: a worker lost, as it would be with its peer.)
class Calls final : public gloo::transport::tcp::Handler {
   public:
    struct Call {
        cg_region *region;
        bool sends;
        int peer;
        uint64_t tag;
        size_t offset, bytes;
    };

    Calls() : bell(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (bell < 0) throw std::runtime_error("no descriptor for events");
    }
    ~Calls() override { close(bell); }

    const int bell;

    void add(const Call &call) {
        bool isFirst;
        {
            std::lock_guard<std::mutex> lock(queueing);
            isFirst = queue.empty();
            queue.push_back(call);
        }
        if (isFirst) eventfd_write(bell, 1);
    }

    /// Closing a pair waits for Gloo's thread while it has the pair's lock: none must be wanted there meanwhile.
    template <typename Body>
    void without(Body &&body) {
        std::lock_guard<std::mutex> lock(calling);
        body();
    }

    /// None of the region's calls is made from now on.
    void drop(cg_region *region) {
        std::lock_guard<std::mutex> lock(calling);
        std::lock_guard<std::mutex> also(queueing);
        queue.erase(std::remove_if(queue.begin(), queue.end(), [&](const Call &call) { return call.region == region; }), queue.end());
    }

    void handleEvents(int) override {
        std::unique_lock<std::mutex> lock(calling, std::try_to_lock);
        // The bell goes on ringing.
        if (!lock) return;
        eventfd_t count;
        eventfd_read(bell, &count);
        {
            std::lock_guard<std::mutex> also(queueing);
            queue.swap(taken);
        }
        for (const Call &call : taken) make(call);
        taken.clear();
    }

   private:
    std::mutex queueing, calling;
    std::vector<Call> queue, taken;

    static void make(const Call &call) {
        cg_group *group = call.region->group;
        if (group->aborted) return;
        const int status = guarded([&] {
            if (call.sends) {
                call.region->buffer->send(call.peer, call.tag, call.offset, call.bytes);
            } else {
                call.region->buffer->recv(call.peer, call.tag, call.offset, call.bytes);
            }
        });
        if (status != CG_OK) group->fail(status, lastError);
    }
};

}  // namespace

struct cg_device {
    std::shared_ptr<gloo::transport::tcp::Device> device;
    Calls calls;

    explicit cg_device(const char *host) {
        gloo::transport::tcp::attr attributes(host);
        device = std::static_pointer_cast<gloo::transport::tcp::Device>(gloo::transport::tcp::CreateDevice(attributes));
        device->registerDescriptor(calls.bell, EPOLLIN, &calls);
    }
    ~cg_device() { device->unregisterDescriptor(calls.bell, &calls); }
};

const char *cg_error(void) { return lastError.c_str(); }

cg_device *cg_device_make(const char *host) {
    return made<cg_device>([&] { return new cg_device(host); });
}

void cg_device_free(cg_device *device) { delete device; }

cg_group *cg_group_make(cg_device *device, int rank, int size, int timeoutMilliseconds) {
    return made<cg_group>([&] {
        std::unique_ptr<cg_group> group(new cg_group);
        group->device = device;
        group->context = device->device->createContext(rank, size);
        // Gloo waits five times as long for a connection.
        group->context->setTimeout(std::chrono::milliseconds(timeoutMilliseconds / 5 + 1));
        for (int peer = 0; peer < size; peer++) {
            if (peer != rank) group->context->createPair(peer)->setLocalRank(0);
        }
        return group.release();
    });
}

int cg_group_address(cg_group *group, int peer, uint8_t *out) {
    return guarded([&] {
        const std::vector<char> bytes = group->context->getPair(peer)->address().bytes();
        if (bytes.size() > CG_ADDRESS_BYTES) throw gloo::InvalidOperationException("an address of " + std::to_string(bytes.size()) + " bytes");
        std::memset(out, 0, CG_ADDRESS_BYTES);
        std::memcpy(out, bytes.data(), bytes.size());
    });
}

int cg_group_connect(cg_group *group, int peer, const uint8_t *address) {
    return guarded([&] {
        const size_t size = group->context->getPair(peer)->address().bytes().size();
        const char *first = reinterpret_cast<const char *>(address);
        group->context->getPair(peer)->connect(std::vector<char>(first, first + size));
    });
}

void cg_group_close(cg_group *group) {
    group->device->calls.without([&] {
        for (int peer = 0; peer < group->context->size; peer++) {
            guarded([&] {
                auto &pair = group->context->getPair(peer);
                if (pair) pair->close();
            });
        }
    });
}

void cg_group_abort(cg_group *group) {
    guarded([&] { group->abort(); });
}

void cg_group_free(cg_group *group) {
    guarded([&] { delete group; });
}

cg_region *cg_region_make(cg_group *group, void *base, size_t bytes) {
    return made<cg_region>([&] {
        std::unique_ptr<cg_region> region(new cg_region{group, group->context->createUnboundBuffer(base, bytes)});
        std::lock_guard<std::mutex> lock(group->mutex);
        group->regions.insert(region.get());
        return region.release();
    });
}

void cg_region_free(cg_region *region) {
    guarded([&] {
        region->group->device->calls.drop(region);
        {
            std::lock_guard<std::mutex> lock(region->group->mutex);
            region->group->regions.erase(region);
        }
        delete region;
    });
}

static void begin(const Calls::Call &call) {
    const int status = guarded([&] { call.region->group->device->calls.add(call); });
    if (status != CG_OK) call.region->group->fail(status, lastError);
}

void cg_send(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes) {
    begin({region, true, peer, tag, offset, bytes});
}

void cg_receive(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes) {
    begin({region, false, peer, tag, offset, bytes});
}

int cg_wait_sent(cg_region *region, int timeoutMilliseconds) {
    return region->wait([&] { return region->buffer->waitSend(std::chrono::milliseconds(timeoutMilliseconds)); });
}

int cg_wait_received(cg_region *region, int timeoutMilliseconds) {
    return region->wait([&] { return region->buffer->waitRecv(std::chrono::milliseconds(timeoutMilliseconds)); });
}
