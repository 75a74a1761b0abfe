#include "CGloo.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gloo/common/error.h>
#include <gloo/transport/address.h>
#include <gloo/transport/context.h>
#include <gloo/transport/device.h>
#include <gloo/transport/tcp/device.h>

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

struct cg_device {
    std::shared_ptr<gloo::transport::Device> device;
};

struct cg_group {
    std::shared_ptr<gloo::transport::Device> device;
    std::shared_ptr<gloo::transport::Context> context;
    std::atomic<bool> aborted{false};
    std::mutex mutex;
    std::set<cg_region *> regions;
};

struct cg_region {
    cg_group *group;
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer;

    template <typename Wait>
    void wait(Wait &&wait) {
        if (group->aborted || !wait() || group->aborted) throw gloo::IoException("the wait was aborted");
    }
};

const char *cg_error(void) { return lastError.c_str(); }

cg_device *cg_device_make(const char *host) {
    return made<cg_device>([&] {
        gloo::transport::tcp::attr attributes(host);
        return new cg_device{gloo::transport::tcp::CreateDevice(attributes)};
    });
}

void cg_device_free(cg_device *device) { delete device; }

cg_group *cg_group_make(cg_device *device, int rank, int size, int timeoutMilliseconds) {
    return made<cg_group>([&] {
        std::unique_ptr<cg_group> group(new cg_group);
        group->device = device->device;
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
    for (int peer = 0; peer < group->context->size; peer++) {
        guarded([&] {
            auto &pair = group->context->getPair(peer);
            if (pair) pair->close();
        });
    }
}

void cg_group_abort(cg_group *group) {
    guarded([&] {
        group->aborted = true;
        std::lock_guard<std::mutex> lock(group->mutex);
        for (cg_region *region : group->regions) {
            region->buffer->abortWaitRecv();
            region->buffer->abortWaitSend();
        }
    });
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
        {
            std::lock_guard<std::mutex> lock(region->group->mutex);
            region->group->regions.erase(region);
        }
        delete region;
    });
}

int cg_send(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes) {
    return guarded([&] { region->buffer->send(peer, tag, offset, bytes); });
}

int cg_receive(cg_region *region, int peer, uint64_t tag, size_t offset, size_t bytes) {
    return guarded([&] { region->buffer->recv(peer, tag, offset, bytes); });
}

int cg_wait_sent(cg_region *region, int timeoutMilliseconds) {
    return guarded([&] {
        region->wait([&] { return region->buffer->waitSend(std::chrono::milliseconds(timeoutMilliseconds)); });
    });
}

int cg_wait_received(cg_region *region, int timeoutMilliseconds) {
    return guarded([&] {
        region->wait([&] { return region->buffer->waitRecv(std::chrono::milliseconds(timeoutMilliseconds)); });
    });
}
