#include "wire/recorder/script.hpp"

#include <cctype>
#include <fstream>
#include <map>
#include <stdexcept>

#include "wire/bytes.hpp"
#include "wire/door.hpp"

namespace muster::test {
namespace {

const std::map<std::string, char> server_types = {
    {"Authentication", 'R'},
    {"BackendKeyData", 'K'},
    {"BindComplete", '2'},
    {"CloseComplete", '3'},
    {"CommandComplete", 'C'},
    {"CopyBothResponse", 'W'},
    {"CopyData", 'd'},
    {"CopyDone", 'c'},
    {"CopyInResponse", 'G'},
    {"CopyOutResponse", 'H'},
    {"DataRow", 'D'},
    {"EmptyQueryResponse", 'I'},
    {"ErrorResponse", 'E'},
    {"FunctionCallResponse", 'V'},
    {"NegotiateProtocolVersion", 'v'},
    {"NoData", 'n'},
    {"NoticeResponse", 'N'},
    {"NotificationResponse", 'A'},
    {"ParameterDescription", 't'},
    {"ParameterStatus", 'S'},
    {"ParseComplete", '1'},
    {"PortalSuspended", 's'},
    {"ReadyForQuery", 'Z'},
    {"RowDescription", 'T'},
};

char unescaped(const std::string& line, std::size_t& at) {
    if (line[at] != '\\')
        return line[at++];
    ++at;
    if (at >= line.size())
        throw std::runtime_error("an escape without its letter");
    switch (const char letter = line[at++]) {
        case 'n':
            return '\n';
        case 't':
            return '\t';
        case '0':
            return '\0';
        case 'x': {
            const auto value = std::stoi(line.substr(at, 2), nullptr, 16);
            at += 2;
            return static_cast<char>(value);
        }
        case '\\':
        case '"':
            return letter;
        default:
            throw std::runtime_error(std::string("unknown escape \\") + letter);
    }
}

std::string repeated(const std::string& text, std::size_t times) {
    std::string all;
    all.reserve(text.size() * times);
    while (times-- > 0)
        all += text;
    return all;
}

std::vector<Word> read_words(const std::string& line) {
    std::vector<Word> words;
    for (std::size_t at = 0;;) {
        while (at < line.size() && std::isspace(static_cast<unsigned char>(line[at])))
            ++at;
        if (at == line.size() || line[at] == '#')
            break;
        Word word;
        if (line[at] == '"') {
            word.quoted = true;
            for (++at; at < line.size() && line[at] != '"';)
                word.text.push_back(unescaped(line, at));
            if (at++ >= line.size())
                throw std::runtime_error("a text without its closing quote");
        } else {
            while (at < line.size() && !std::isspace(static_cast<unsigned char>(line[at])))
                word.text.push_back(line[at++]);
        }
        const auto size = words.size();
        if (size >= 2 && words[size - 1].text == "*" && words[size - 2].quoted) {
            words.pop_back();
            words.back().text = repeated(words.back().text, std::stoul(word.text));
        } else {
            words.push_back(std::move(word));
        }
    }
    return words;
}

void append_string(std::string& to, const std::string& text) {
    to.append(text).push_back('\0');
}

void append_uint16(std::string& to, std::size_t value) {
    to.push_back(static_cast<char>(value >> 8 & 0xff));
    to.push_back(static_cast<char>(value & 0xff));
}

// Values from word `first` on, `last` excluded, each with its length.
void append_values(std::string& to, const Command& command, std::size_t first, std::size_t last) {
    append_uint16(to, last - first);
    for (; first < last; ++first) {
        const auto& word = command.words[first];
        if (word.text == "null" && !word.quoted) {
            wire::append_uint32(to, 0xffffffff);
        } else {
            wire::append_uint32(to, static_cast<std::uint32_t>(word.text.size()));
            to += word.text;
        }
    }
}

std::string startup(const Command& command, std::uint32_t version, std::size_t first) {
    std::vector<std::pair<std::string, std::string>> parameters;
    for (auto i = first; i < command.words.size(); i += 2)
        parameters.emplace_back(command[i], command[i + 1]);
    const auto given = [&](const std::string& name) {
        for (const auto& parameter : parameters) {
            if (parameter.first == name)
                return true;
        }
        return false;
    };
    std::string body;
    wire::append_uint32(body, version);
    for (const std::string name : {"user", "database"}) {
        if (!given(name))
            parameters.emplace_back(name, "recorder");
    }
    for (const auto& [name, value] : parameters) {
        append_string(body, name);
        append_string(body, value);
    }
    body.push_back('\0');
    std::string bytes;
    wire::append_uint32(bytes, static_cast<std::uint32_t>(body.size() + 4));
    return bytes + body;
}

std::uint32_t number(const std::string& text) {
    return static_cast<std::uint32_t>(std::stoul(text));
}

std::string parse_body(const Command& command) {
    std::string body;
    append_string(body, command[1]);
    append_string(body, command[2]);
    append_uint16(body, command.words.size() > 3 ? command.words.size() - 3 : 0);
    for (std::size_t i = 3; i < command.words.size(); ++i)
        wire::append_uint32(body, number(command[i]));
    return body;
}

std::string bind_body(const Command& command) {
    std::string body;
    append_string(body, command[1]);
    append_string(body, command[2]);
    append_uint16(body, 0);  // all values are text
    auto last = command.words.size();
    const bool binary = last > 3 && command[last - 1] == "binary" && !command.words.back().quoted;
    append_values(body, command, std::min<std::size_t>(3, last), last - (binary ? 1 : 0));
    append_uint16(body, binary ? 1 : 0);
    if (binary)
        append_uint16(body, 1);
    return body;
}

std::string named_body(const Command& command) {
    if (command[1] != "statement" && command[1] != "portal")
        throw std::runtime_error("it is \"statement\" or \"portal\"");
    std::string body(1, command[1] == "statement" ? 'S' : 'P');
    append_string(body, command[2]);
    return body;
}

std::string call_body(const Command& command) {
    std::string body;
    wire::append_uint32(body, number(command[1]));
    append_uint16(body, 0);
    append_values(body, command, 2, command.words.size());
    append_uint16(body, 0);
    return body;
}

}  // namespace

std::string Command::operator[](std::size_t index) const {
    return index < words.size() ? words[index].text : "";
}

std::vector<Command> read_script(const std::filesystem::path& file) {
    std::ifstream stream(file);
    if (!stream)
        throw std::runtime_error(file.string() + " cannot be read");
    std::vector<Command> commands;
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
        try {
            auto words = read_words(line);
            if (!words.empty())
                commands.push_back({number, std::move(words)});
        } catch (const std::exception& error) {
            throw std::runtime_error(file.string() + ":" + std::to_string(number) + ": " +
                                     error.what());
        }
    }
    return commands;
}

bool encode(const Command& command, std::string& bytes) {
    const auto& name = command.name();
    const auto text = [&] { return command[1] + '\0'; };
    if (name == "startup") {
        bytes = startup(command, 3u << 16, 1);
    } else if (name == "protocol") {
        bytes = startup(command, number(command[1]) << 16 | number(command[2]), 3);
    } else if (name == "raw") {
        bytes = command[1];
    } else if (name == "Query") {
        bytes = message('Q', text());
    } else if (name == "Parse") {
        bytes = message('P', parse_body(command));
    } else if (name == "Bind") {
        bytes = message('B', bind_body(command));
    } else if (name == "Describe" || name == "Close") {
        bytes = message(name[0], named_body(command));
    } else if (name == "Execute") {
        auto body = text();
        wire::append_uint32(body, command[2].empty() ? 0 : number(command[2]));
        bytes = message('E', body);
    } else if (name == "Sync" || name == "Flush") {
        bytes = message(name == "Sync" ? 'S' : 'H');
    } else if (name == "CopyData") {
        bytes = message('d', command[1]);
    } else if (name == "CopyDone") {
        bytes = message('c');
    } else if (name == "CopyFail") {
        bytes = message('f', text());
    } else if (name == "FunctionCall") {
        bytes = message('F', call_body(command));
    } else if (name == "Password") {
        bytes = message('p', text());
    } else if (name == "Terminate") {
        bytes = message('X');
    } else {
        return false;
    }
    return true;
}

char server_type(const std::string& name) {
    const auto found = server_types.find(name);
    if (found == server_types.end())
        throw std::runtime_error("there is no message \"" + name + "\" of the server");
    return found->second;
}

std::string server_name(char type) {
    for (const auto& [name, letter] : server_types) {
        if (letter == type)
            return name;
    }
    return std::string("message '") + type + "'";
}

}  // namespace muster::test
