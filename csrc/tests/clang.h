/* What gcc has and clang has not, for the build under ThreadSanitizer alone: there it need not be fast. */
#define __builtin_shuffle(x, y, places)                                                                      \
    ({                                                                                                       \
        const __typeof__(x) given_x = (x), given_y = (y);                                                    \
        __typeof__(+(x)) shuffled = given_x;                                                                 \
        const int lanes = (int)(sizeof shuffled / sizeof shuffled[0]);                                       \
        for (int lane = 0; lane < lanes; lane++)                                                             \
            shuffled[lane] =                                                                                 \
                (places)[lane] < lanes ? given_x[(places)[lane]] : given_y[(places)[lane] - lanes];          \
        shuffled;                                                                                            \
    })
