<?php

// For routes/web.php of a Laravel application: signs a page in and names all its private and presence channels at once
// (docs/sign-in.md). The callbacks of routes/channels.php decide, as they do for single channels.

use Illuminate\Http\Request;
use Illuminate\Support\Facades\Broadcast;
use Illuminate\Support\Facades\Route;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

Route::post('/broadcasting/user-auth', function (Request $request) {
    ['socket_id' => $socket] = $request->validate(['socket_id' => ['required', 'regex:/\A\d+\.\d+\z/']]);
    abort_unless($user = $request->user(), 403);
    $orders = array_map(fn ($id) => "private-orders.{$id}", $user->orders->modelKeys());
    $channels = ["private-App.Models.User.{$user->id}", 'presence-office', ...$orders];
    $may = function (string $channel) use ($request): bool {
        try {
            return (bool) Broadcast::auth($request->merge(['channel_name' => $channel]));
        } catch (AccessDeniedHttpException) {
            return false;
        }
    };
    $userData = json_encode([
        'id' => (string) $user->id,
        'user_info' => ['name' => $user->name],
        'channels' => array_values(array_filter($channels, $may)),
    ]);
    ['key' => $key, 'secret' => $secret] = config('broadcasting.connections.reverb');
    $signature = hash_hmac('sha256', "{$socket}::user::{$userData}", $secret);
    return ['auth' => "{$key}:{$signature}", 'user_data' => $userData];
});
