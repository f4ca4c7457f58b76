#include "model/sharing/store_buffers.hpp"

#include <algorithm>

namespace vtlsim::model {

void StoreBuffers::read(CpuId cpu, u64 address, std::span<u8> out) const {
    machine_.read(address, out);
    for (const BufferedStore& store : fifo_[cpu]) {
        const u64 first = std::max(address, store.address);
        const u64 last = std::min(address + out.size(), store.address + store.bytes.size());
        for (u64 at = first; at < last; ++at) out[at - address] = store.bytes[at - store.address];
    }
}

bool StoreBuffers::push(CpuId cpu, u64 address, std::span<const u8> bytes) {
    fifo_[cpu].push_back({address, {bytes.begin(), bytes.end()}});
    return fifo_[cpu].size() <= kCapacity || drain_one(cpu);
}

bool StoreBuffers::drain_one(CpuId cpu) {
    const BufferedStore store = std::move(fifo_[cpu].front());
    fifo_[cpu].pop_front();
    return machine_.write(store.address, store.bytes);
}

bool StoreBuffers::drain(CpuId cpu) {
    while (!empty(cpu)) {
        if (!drain_one(cpu)) return false;
    }
    return true;
}

bool StoreBuffers::show(CpuId cpu) {
    under_.clear();
    for (const BufferedStore& store : fifo_[cpu]) {
        BufferedStore old{store.address, std::vector<u8>(store.bytes.size())};
        machine_.read(old.address, old.bytes);
        under_.push_back(std::move(old));
        if (!machine_.write(store.address, store.bytes)) return false;
    }
    return true;
}

void StoreBuffers::overwritten(CpuId cpu, u64 address, std::span<const u8> before,
                               std::span<const u8> after) {
    under_.push_back({address, {before.begin(), before.end()}});
    fifo_[cpu].push_back({address, {after.begin(), after.end()}});
}

void StoreBuffers::commit(CpuId cpu) {
    under_.clear();
    fifo_[cpu].clear();
}

bool StoreBuffers::hide(CpuId cpu) {
    for (auto old = under_.rbegin(); old != under_.rend(); ++old) {
        if (!machine_.write(old->address, old->bytes)) return false;
    }
    under_.clear();
    while (fifo_[cpu].size() > kCapacity) {
        if (!drain_one(cpu)) return false;
    }
    return true;
}

}  // namespace vtlsim::model
