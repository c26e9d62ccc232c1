// wire::Pipeline knows what a server knows of a client's requests, in whatever order the door sees
// the messages of the two.
#include "wire/pipeline.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "backend.hpp"
#include "expect.hpp"

using muster::wire::Pipeline;

namespace {

constexpr std::size_t longest = 200;  // of the input; nothing new comes in longer ones

class Talk {
  public:
    void client_sends(char type) {
        (script_ += " >") += type;
        const bool query = type == 'Q' || type == 'E' || type == 'F';
        const std::uint64_t tag = query ? ++last_tag_ : 0;
        if (pipeline_.from_client(type, {tag, {}})) {
            expect(query, "a query begins with its message");
            known_[tag] = type;
        }
        backend_.receive(type, tag);
    }

    void server_acts(fuzz::Input& input) {
        std::string said;
        backend_.step(input, said);
        for (std::size_t i = 0; i < said.size(); i += 2) {
            (script_ += " <") += said[i];
            if (said[i] == 'Z')
                script_ += said[i + 1];
            pipeline_.from_server(said[i], said[i + 1], [&](const Pipeline::End& end) {
                const auto begun = known_.find(end.tag.statement);
                expect(begun != known_.end(), "what ends has begun");
                expect(begun->second == end.type, "it ends as what it began");
                expect(end.tag.statement > last_end_, "queries end once and in order");
                last_end_ = end.tag.statement;
                ended_[end.tag.statement] = end.outcome;
            });
        }
    }

    // What holds at any time.
    void check() const {
        if (!backend_.gone())
            expect(!pipeline_.idle() || backend_.idle(), "who is idle misses nothing");
        expect(pipeline_.outstanding() == known_.size() - ended_.size(),
               "what has not ended is outstanding");
    }

    // What holds once the server has taken everything: all is known exactly.
    void check_drained() const {
        if (backend_.gone() || backend_.unclear())
            return;
        expect(pipeline_.idle() == backend_.idle(), "who misses nothing is idle");
        expect(pipeline_.outstanding() == (backend_.copying() ? 1 : 0), "everything has ended");
        for (const auto& [tag, outcome] : backend_.outcomes()) {
            const auto ended = ended_.find(tag);
            if (ended == ended_.end())
                expect(outcome == Pipeline::Outcome::skipped, "what was run is known");
            else
                expect(ended->second == outcome, "how a query ended");
        }
    }

    bool drained() const { return backend_.drained() || backend_.gone(); }

  private:
    // What was sent, as pipeline_test.cpp writes it, is told first.
    void expect(bool holds, const char* what) const {
        if (!holds)
            std::fprintf(stderr, "%s\n", script_.c_str());
        fuzz::expect(holds, what);
    }

    std::string script_;
    Pipeline pipeline_;
    fuzz::Backend backend_;
    std::map<std::uint64_t, char> known_;
    std::map<std::uint64_t, Pipeline::Outcome> ended_;
    std::uint64_t last_tag_ = 0;
    std::uint64_t last_end_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static constexpr char messages[] = "QPBDCESHFdcfESQS";
    fuzz::Input input(data, std::min<std::size_t>(size, longest));
    Talk talk;
    while (!input.done()) {
        const unsigned action = input.below(32);
        if (action < 16)
            talk.client_sends(messages[action]);
        else
            talk.server_acts(input);
        talk.check();
    }
    for (unsigned i = 0; !talk.drained(); ++i) {
        fuzz::expect(i < 100000, "the server comes to an end");
        talk.server_acts(input);
        talk.check();
    }
    talk.check_drained();
    return 0;
}
