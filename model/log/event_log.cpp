#include "model/log/event_log.hpp"

#define XXH_INLINE_ALL
#include <cstring>

#include <xxhash.h>

namespace vtlsim::model {

struct EventLog::Hasher {
    XXH3_state_t state;
};

EventLog::EventLog() : hasher_(std::make_unique<Hasher>()) { XXH3_64bits_reset(&hasher_->state); }
EventLog::EventLog(const EventLog& other)
    : events_(other.events_), texts_(other.texts_), hasher_(std::make_unique<Hasher>()) {
    XXH3_copyState(&hasher_->state, &other.hasher_->state);
}
EventLog& EventLog::operator=(const EventLog& other) {
    events_ = other.events_;
    texts_ = other.texts_;
    XXH3_copyState(&hasher_->state, &other.hasher_->state);
    return *this;
}
EventLog::~EventLog() = default;

void EventLog::add(const Event& event) {
    events_.push_back(event);
    // Field by field: padding never reaches the hash.
    std::array<u64, 3 + Event::kMaxArgs> words{event.step,
                                               static_cast<u64>(event.kind) |
                                                   static_cast<u64>(event.lane) << 8 |
                                                   u64{event.vp} << 16 | u64{event.vtl} << 24,
                                               event.rip};
    std::copy(event.args.begin(), event.args.end(), words.begin() + 3);
    XXH3_64bits_update(&hasher_->state, words.data(), sizeof(words));
}

u64 EventLog::add_text(std::string text) {
    const u64 size = text.size();
    XXH3_64bits_update(&hasher_->state, &size, sizeof(size));
    XXH3_64bits_update(&hasher_->state, text.data(), text.size());
    texts_.push_back(std::move(text));
    return texts_.size() - 1;
}

std::string_view EventLog::text(u64 index) const {
    return index < texts_.size() ? std::string_view(texts_[index]) : std::string_view();
}

u64 EventLog::hash() const { return XXH3_64bits_digest(&hasher_->state); }

}  // namespace vtlsim::model
