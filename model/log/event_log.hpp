// The event log of one run: a record of events, the texts they refer to, and a hash of both.
#pragma once

#include <memory>
#include <vector>

#include "model/log/event.hpp"

namespace vtlsim::model {

class EventLog {
  public:
    EventLog();
    EventLog(const EventLog& other);
    EventLog& operator=(const EventLog& other);
    ~EventLog();

    void add(const Event& event);
    // Keeps a text; the index goes into an argument of format `text`. Call before add().
    u64 add_text(std::string text);

    std::span<const Event> events() const { return events_; }
    std::string_view text(u64 index) const;

    // XXH3-64 over every event, field by field in little-endian order, and every text. The same
    // on every machine, compiler and build type.
    u64 hash() const;

  private:
    struct Hasher;
    std::vector<Event> events_;
    std::vector<std::string> texts_;
    std::unique_ptr<Hasher> hasher_;
};

}  // namespace vtlsim::model
