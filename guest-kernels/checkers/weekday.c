/*
 * A checker for rows of the spec date@1: is the answer the right sentence for the date?
 *
 *     {"input": "1945-07-12", "output": "Thursday, July 12, 1945."}
 *
 * It is a WASI preview 1 command: rows come in as JSON Lines, answers go out as JSON Lines, as the
 * README beside this file says. It calls for nothing but its input, its output and its exit.
 *
 * Dates are those of the Gregorian calendar from 1583, its first whole year, to 9999, so that every
 * year has four digits and one spelling. One date has one right sentence, to the byte.
 *
 * It does not check again that a text is valid UTF-8: what is not ASCII is never right.
 *
 * Invariants: a line is read byte by byte and never kept, so none is too long; of a string the
 * first TEXT_BYTES are kept, and a longer one is never right. Whatever the input is, every line of
 * it gets one answer. Answers hold only names of the tables below, numbers and fixed texts, which
 * need no escaping.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Of a read or a write. A call of the host costs fuel, so there should be few. */
    BUFFER_BYTES = 64 * 1024,
    /* The longest right text, a sentence of a Wednesday in September, has 30. */
    TEXT_BYTES = 64,
    /* What ends a line is not a byte of it. */
    LINE_END = -1,
    FIRST_YEAR = 1583,
};

static const char *const WEEKDAYS[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* ---- Output ---- */

static struct {
    char bytes[BUFFER_BYTES];
    size_t length;
} out;

static void flush(void) {
    size_t done = 0;
    while (done < out.length) {
        ssize_t written = write(STDOUT_FILENO, out.bytes + done, out.length - done);
        if (written <= 0) _Exit(EXIT_FAILURE);
        done += (size_t)written;
    }
    out.length = 0;
}

static void put(const char *text) {
    for (; *text; text++) {
        if (out.length == BUFFER_BYTES) flush();
        out.bytes[out.length++] = *text;
    }
}

static void fault(const char *pointer, const char *reason) {
    put("{\"pointer\": \"");
    put(pointer);
    put("\", \"reason\": \"");
    put(reason);
    put("\"}\n");
}

static void differs_in_name(const char *what, const char *said, const char *right) {
    put("{\"pointer\": \"/output\", \"reason\": \"the ");
    put(what);
    put(" is ");
    put(said);
    put(", that of the date is ");
    put(right);
    put("\"}\n");
}

/* Of a number from 0 to 9999. */
struct digits {
    char text[5];
};

static struct digits digits_of(int number) {
    struct digits digits;
    int count = number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : 4;
    digits.text[count] = '\0';
    for (; count > 0; number /= 10)
        digits.text[--count] = (char)('0' + number % 10);
    return digits;
}

static void differs_in_number(const char *what, int said, int right) {
    struct digits said_digits = digits_of(said), right_digits = digits_of(right);
    differs_in_name(what, said_digits.text, right_digits.text);
}

/* ---- Input: bytes of one line at a time ---- */

static struct {
    unsigned char bytes[BUFFER_BYTES];
    size_t at, length;
} in;

/* Whether there is another byte; if so, it is at `in.at`. */
static bool more(void) {
    if (in.at < in.length) return true;
    ssize_t length = read(STDIN_FILENO, in.bytes, BUFFER_BYTES);
    if (length < 0) _Exit(EXIT_FAILURE);
    in.at = 0;
    in.length = (size_t)length;
    return length > 0;
}

/* The next byte of this line, which stays the next one. */
static int peek(void) {
    return more() && in.bytes[in.at] != '\n' ? in.bytes[in.at] : LINE_END;
}

static int take(void) {
    int byte = peek();
    if (byte != LINE_END) in.at++;
    return byte;
}

static bool accept(char byte) {
    bool is_next = peek() == byte;
    if (is_next) in.at++;
    return is_next;
}

static void skip_space(void) {
    while (accept(' ') || accept('\t') || accept('\r')) {
    }
}

/* Takes what is left of this line and its end. */
static void skip_line(void) {
    while (take() != LINE_END) {
    }
    if (more()) in.at++;
}

/* ---- JSON (RFC 8259), as far as these rows need it ---- */

/* A string without its escapes. `length` counts what was kept; no text ends with a zero byte. */
struct text {
    bool is_given, is_cut;
    size_t length;
    char bytes[TEXT_BYTES];
};

static void keep_byte(struct text *text, uint32_t byte) {
    if (text->length < TEXT_BYTES)
        text->bytes[text->length++] = (char)(unsigned char)byte;
    else
        text->is_cut = true;
}

/* Keeps a Unicode scalar value as UTF-8 (RFC 3629). */
static void keep_scalar(struct text *text, uint32_t scalar) {
    if (scalar < 0x80) {
        keep_byte(text, scalar);
        return;
    }
    int shift = scalar < 0x800 ? 6 : scalar < 0x10000 ? 12 : 18;
    uint32_t lead = shift == 6 ? 0xc0 : shift == 12 ? 0xe0 : 0xf0;
    keep_byte(text, lead | scalar >> shift);
    while (shift > 0) {
        shift -= 6;
        keep_byte(text, 0x80 | (scalar >> shift & 0x3f));
    }
}

static bool read_hex4(uint32_t *value) {
    *value = 0;
    for (int i = 0; i < 4; i++) {
        int c = take();
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows `\u`. A high surrogate must have its low one behind it; no other may stand alone. */
static bool read_unicode_escape(struct text *text) {
    uint32_t high, low;
    if (!read_hex4(&high) || (high >= 0xdc00 && high <= 0xdfff)) return false;
    if (high < 0xd800 || high > 0xdfff) {
        keep_scalar(text, high);
        return true;
    }
    if (!accept('\\') || !accept('u') || !read_hex4(&low)) return false;
    if (low < 0xdc00 || low > 0xdfff) return false;
    keep_scalar(text, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return true;
}

static bool read_escape(struct text *text) {
    static const char LETTERS[] = "\"\\/bfnrt", MEANINGS[] = "\"\\/\b\f\n\r\t";
    if (accept('u')) return read_unicode_escape(text);
    for (size_t i = 0; LETTERS[i]; i++) {
        if (accept(LETTERS[i])) {
            keep_byte(text, (unsigned char)MEANINGS[i]);
            return true;
        }
    }
    return false;
}

static bool read_text(struct text *text) {
    *text = (struct text){.is_given = true};
    if (!accept('"')) return false;
    for (;;) {
        int byte = take();
        if (byte == '"') return true;
        if (byte < 0x20) return false; /* the line's end, too */
        if (byte != '\\')
            keep_byte(text, (uint32_t)byte);
        else if (!read_escape(text))
            return false;
    }
}

static bool equals(const struct text *text, const char *other) {
    return !text->is_cut && text->length == strlen(other) &&
           memcmp(text->bytes, other, text->length) == 0;
}

/* Reads a line: an object of the two strings and nothing else, as the spec's schema has it. */
static bool read_row(struct text *input, struct text *output) {
    input->is_given = output->is_given = false;
    skip_space();
    if (!accept('{')) return false;
    do {
        struct text name;
        skip_space();
        if (!read_text(&name)) return false;
        struct text *value = equals(&name, "input")    ? input
                             : equals(&name, "output") ? output
                                                       : NULL;
        skip_space();
        if (!value || value->is_given || !accept(':')) return false;
        skip_space();
        if (!read_text(value)) return false;
        skip_space();
    } while (accept(','));
    if (!accept('}')) return false;
    skip_space();
    return peek() == LINE_END && input->is_given && output->is_given;
}

/* ---- Dates ---- */

/* A month from 0, as in MONTHS; a weekday from Sunday, as in WEEKDAYS. */
struct date {
    int year, month, day, weekday;
};

/* What of a text is still to be read. */
struct rest {
    const char *at, *end;
};

static bool read_byte(struct rest *rest, char byte) {
    if (rest->at == rest->end || *rest->at != byte) return false;
    rest->at++;
    return true;
}

/* From `least` to `most` digits, at most four. */
static bool read_number(struct rest *rest, int least, int most, int *number) {
    int count = 0;
    *number = 0;
    while (count < most && rest->at != rest->end && *rest->at >= '0' && *rest->at <= '9') {
        *number = *number * 10 + (*rest->at++ - '0');
        count++;
    }
    return count >= least;
}

/* One of `names`, by its index. None of them begins with another. */
static bool read_name(struct rest *rest, const char *const names[], int count, int *index) {
    for (*index = 0; *index < count; ++*index) {
        size_t length = strlen(names[*index]);
        if ((size_t)(rest->end - rest->at) >= length &&
            memcmp(rest->at, names[*index], length) == 0) {
            rest->at += length;
            return true;
        }
    }
    return false;
}

static int days_in_month(int year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 1 && is_leap ? 29 : DAYS[month];
}

/*
 * By the days since 0000-03-01, a Wednesday of the proleptic calendar: Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms", days_from_civil. With years that begin in March a
 * leap day is the last day, and (153 m + 2) / 5 is the days before month m, March being 0.
 */
static int weekday_of(int year, int month, int day) {
    int y = month < 2 ? year - 1 : year;
    int m = (month + 10) % 12;
    int days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return (days + 3) % 7;
}

/* Reads the input, a date as YYYY-MM-DD. What is wrong with it, or NULL. */
static const char *read_date(const struct text *text, struct date *date) {
    struct rest rest = {text->bytes, text->bytes + text->length};
    if (text->is_cut || !read_number(&rest, 4, 4, &date->year) || !read_byte(&rest, '-') ||
        !read_number(&rest, 2, 2, &date->month) || !read_byte(&rest, '-') ||
        !read_number(&rest, 2, 2, &date->day) || rest.at != rest.end)
        return "it is not a date in the form 1945-07-12";
    if (date->year < FIRST_YEAR) return "the year is before 1583, the calendar's first whole one";
    if (date->month < 1 || date->month > 12) return "there is no such month";
    date->month--;
    if (date->day < 1 || date->day > days_in_month(date->year, date->month))
        return "the month has no such day";
    date->weekday = weekday_of(date->year, date->month, date->day);
    return NULL;
}

/* Reads the output, a sentence such as `Thursday, July 12, 1945.` Whether it has that form. */
static bool read_sentence(const struct text *text, struct date *said) {
    struct rest rest = {text->bytes, text->bytes + text->length};
    /* A day that begins with 0 is none. */
    return !text->is_cut && read_name(&rest, WEEKDAYS, 7, &said->weekday) &&
           read_byte(&rest, ',') && read_byte(&rest, ' ') &&
           read_name(&rest, MONTHS, 12, &said->month) && read_byte(&rest, ' ') &&
           !read_byte(&rest, '0') && read_number(&rest, 1, 2, &said->day) &&
           read_byte(&rest, ',') && read_byte(&rest, ' ') &&
           read_number(&rest, 4, 4, &said->year) && read_byte(&rest, '.') && rest.at == rest.end;
}

static void answer_row(void) {
    struct text input, output;
    struct date date, said;
    if (!read_row(&input, &output)) {
        fault("", "the row is not an object of the two strings input and output");
        return;
    }
    const char *reason = read_date(&input, &date);
    if (reason)
        fault("/input", reason);
    else if (!read_sentence(&output, &said))
        fault("/output", "it is not a sentence in the form Thursday, July 12, 1945.");
    else if (said.year != date.year)
        differs_in_number("year", said.year, date.year);
    else if (said.month != date.month)
        differs_in_name("month", MONTHS[said.month], MONTHS[date.month]);
    else if (said.day != date.day)
        differs_in_number("day", said.day, date.day);
    else if (said.weekday != date.weekday)
        differs_in_name("weekday", WEEKDAYS[said.weekday], WEEKDAYS[date.weekday]);
    else
        put("null\n");
}

int main(void) {
    while (more()) {
        answer_row();
        skip_line();
    }
    flush();
    return EXIT_SUCCESS;
}
