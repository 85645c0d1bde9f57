<?php

// For routes/web.php of a Laravel application: authorises all the channels that a page asks for at once, each by its
// callback in routes/channels.php, and each with a signature of its own (docs/sign-in.md).

use Illuminate\Http\Request;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Route;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

Route::post('/broadcasting/auth-many', function (Request $request) {
    ['channel_names' => $channels] = $request->validate([
        'socket_id' => ['required', 'regex:/\A\d+\.\d+\z/'],
        'channel_names' => ['required', 'array', 'max:100'],
        'channel_names.*' => ['required', 'string'],
    ]);
    $authorise = function (string $channel) use ($request): ?array {
        try {
            return Broadcast::auth($request->merge(['channel_name' => $channel]));
        } catch (AccessDeniedHttpException) {
            return null;
        }
    };
    return array_combine($channels, array_map($authorise, $channels));
});
