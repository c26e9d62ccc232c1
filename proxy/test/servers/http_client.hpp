// A blocking HTTP client for tests that shows what is on the wire: raw bytes out, parsed answers
// in.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace muster::test {

struct HttpAnswer {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;

    std::string header(const std::string& name) const;
};

class HttpClient {
  public:
    // Connects to 127.0.0.1. Reads give up after 20 s with an exception.
    explicit HttpClient(unsigned short port);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    void send(std::string_view bytes);
    // Reads one answer; `head` says that it has no body whatever its Content-Length.
    HttpAnswer read(bool head = false);
    // One request with its answer. `headers` are whole lines that end in \r\n.
    HttpAnswer request(const std::string& method, const std::string& target,
                       const std::string& headers = "", std::optional<std::string> body = {});
    // Whether the server has closed the connection, waiting for it.
    bool closed();
    // Says that nothing more will be sent.
    void finish();

  private:
    bool fill();

    int socket_;
    std::string buffer_;
};

}  // namespace muster::test
